# SPDX-License-Identifier: GPL-2.0-only
"""Who looks after the project, and what it promises: cases of style.py."""
import re

from style_base import TOP, Skip, complaints_of, need, run, text_of


def tracked():
    return run("git", "ls-files", "-co", "--exclude-standard").stdout.splitlines()


def matches(pattern, name):
    """As the kernel's get_maintainer.pl: a slash ends a folder with all below it."""
    expression = re.escape(pattern).replace(r"\*", "[^/]*")
    return re.match(expression + ("" if pattern.endswith("/") else "$"), name)


def section_complaints(text, names):
    """What is wrong with one section; its patterns."""
    title, *lines = text.splitlines()
    bad = [f"{title}: not LETTER:<tab>TEXT: {line}" for line in lines
           if not re.match(r"[MSPF]:\t\S", line)]
    of = {kind: [line[3:] for line in lines if line.startswith(kind + ":")]
          for kind in "MSPF"}
    bad += [f"{title}: no {kind}:" for kind in "MSF" if not of[kind]]
    bad += [f"{title}: no name and address: {who}" for who in of["M"]
            if not re.fullmatch(r"\S.* <\S+@\S+>", who)]
    bad += [f"{title}: is not there: {path}" for path in of["P"]
            if not (TOP / path).is_file()]
    bad += [f"{title}: matches no file: {pattern}" for pattern in of["F"]
            if not any(matches(pattern, name) for name in names)]
    return bad, of["F"]


def maintainers():
    """Each file is in a section, and each pattern has a file."""
    names = tracked()
    _, *sections = re.split(r"\n\n(?=[A-Z][^a-z\n]*\nM:)",
                            text_of("MAINTAINERS").rstrip("\n"))
    bad, patterns = [], []
    for text in sections:
        complaints, more = section_complaints(text, names)
        bad += complaints
        patterns += more
    return bad + [f"in no section: {name}" for name in names
                  if not any(matches(pattern, name) for pattern in patterns)]


def supported_kernels():
    """SECURITY.rst names the range of dkms.conf: its ends, and none beyond."""
    accepted = re.search(r'^BUILD_EXCLUSIVE_KERNEL="(.*)"$', text_of("dkms.conf"),
                         re.M)[1]
    ends = re.search(r"\bLinux\s+(\d+)\.(\d+)\s+to\s+(\d+)\.(\d+)\b",
                     text_of("SECURITY.rst"))
    first, last = [(int(ends[i]), int(ends[i + 1])) for i in (1, 3)]
    wanted = {first: True, last: True, (first[0], first[1] - 1): False,
              (last[0], last[1] + 1): False, (last[0] + 1, 0): False}
    return [f"Linux {major}.{minor}: dkms.conf says otherwise"
            for (major, minor), is_in in wanted.items()
            if is_in != bool(re.match(accepted, f"{major}.{minor}.0-1-amd64"))]


def yaml_lint():
    return complaints_of(need("yamllint"), "--strict", *(
        name for name in tracked() if re.search(r"\.ya?ml$|^\.yamllint$", name)))


def words_below(value, key=""):
    """Each text of a parsed file, with the name of what it belongs to."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from words_below(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from words_below(part, key)
    else:
        yield key, str(value)


def pipelines():
    """GitHub's and GitLab's run the same scripts, which are there, in the same
    images."""
    try:
        import yaml
    except ImportError:
        raise Skip("python3-yaml is not installed") from None
    found = {}
    for name in (".github/workflows/check.yml", ".gitlab-ci.yml"):
        words = list(words_below(yaml.safe_load(text_of(name))))
        found[name] = {word for key, word in words if key.lower() == "image" and
                       not word.startswith("$")}
        found[name] |= {script for key, word in words if key in ("run", "script")
                        for script in re.findall(r"(?<!\S)\.ci/\w+", word)}
    github, gitlab = found.values()
    return [f"only one of the two has {what}" for what in sorted(github ^ gitlab)] + \
        [f"no such script: {what}" for what in github | gitlab
         if what.startswith(".ci/") and not (TOP / what).is_file()] + \
        ([] if {".ci/fast", ".ci/headers"} <= github else ["a script is not run"])


CASES = {
    "style.project.pipelines_run_the_same_ok": pipelines,
    "style.project.yaml_lint_ok": yaml_lint,
    "style.project.each_file_has_a_maintainer_ok": maintainers,
    "style.project.security_has_the_kernels_of_dkms_ok": supported_kernels,
}
