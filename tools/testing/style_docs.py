# SPDX-License-Identifier: GPL-2.0-only
"""What documents say, beside what they speak of: cases of style.py."""
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from style_names import TOP, compare, part, text_of

PAGE = "Documentation/man/vhx_net.4"


def parameters():
    """Each has an entry, in which (writable) is said where its mode has it."""
    modes = dict(re.findall(r"^module_param(?:_named|_cb)?\((\w+),[^;]*?(0\d+)\);",
                            text_of("drivers/vhost/main.c"), re.M))
    entries = {}
    for line in re.findall(r"^\.TP\n\.B\w* (.*)$", part(
            PAGE, ".SH PARAMETERS", ".SH IOCTLS"), re.M):
        entries[re.match(r"\w+", line)[0]] = "(writable)" in line
    return compare("entry", set(modes), set(entries)) + [
        f"{name}: writable or not?" for name, is_writable in entries.items()
        if name in modes and is_writable != (modes[name] == "0644")]


def defaults():
    """The page has the number that MODULE_PARM_DESC() has."""
    said = re.findall(r'^MODULE_PARM_DESC\((\w+), "[^"]*\(default (\d+)\)',
                      text_of("drivers/vhost/main.c"), re.M)
    page = part(PAGE, ".SH PARAMETERS", ".SH IOCTLS").split("\n.TP\n")
    bad = [] if said else ["no default is a number"]
    for name, number in said:
        entry = next((text for text in page if re.match(
            rf"\.BI? {name}=", text)), "")
        if not re.search(rf"\bdefault is {number}\b", entry):
            bad.append(f"{name}: the default is {number}")
    return bad


def ioctls():
    """The ioctls and constants of <linux/vhx.h> are all on the page."""
    names = set(re.findall(r"^#define (VHX_\w+)", text_of("include/uapi/linux/vhx.h"),
                           re.M))
    return compare("word", names, set(re.findall(
        r"\bVHX_(?!NET)\w+", part(PAGE, ".SH IOCTLS", ".SH FDINFO"))))


def diagnostics():
    """What the module says when it is loaded, up to the advice."""
    texts = re.findall(r'pr_\w+\("([^"]*)\\n"', text_of("drivers/vhost/main.c"))
    page = re.sub(r'\\fI|[\\"]', "", part(PAGE, ".SH DIAGNOSTICS", ".SH FILES"))
    bad = [] if texts else ["the module says nothing"]
    for text in texts:
        words = re.split(r"%\w", text.split(": '")[0])
        line = ".*".join(re.escape(word.strip(" ()")) for word in words)
        if not re.search(line, page):
            bad.append(f"not on the page: {text}")
    return bad


def installed_and_removed():
    """`make install` has the page, and `make uninstall` leaves nothing."""
    with tempfile.TemporaryDirectory() as tmp:
        make = ["make", "-s", f"DESTDIR={tmp}", "KERNELRELEASE=0", "DKMS=",
                "MODULE=/dev/null", "PREFIX=/usr"]
        subprocess.run([*make, "install"], cwd=TOP, check=True)
        page = Path(tmp, "usr/share/man/man4/vhx_net.4")
        bad = [] if page.is_file() else [f"is not there: {page}"]
        subprocess.run([*make, "uninstall"], cwd=TOP, check=True)
        return bad + [f"is left: {path}" for path in Path(tmp).rglob("*")
                      if not path.is_dir()]


def readme_figures():
    """Each pair stands in performance.rst side by side, in-tree's first."""
    rows = re.findall(r"^  \S.*?  +([\d.]+) +([\d.]+)$", part(
        "README.rst", ".. figures begin", ".. figures end"), re.M)
    measured = text_of("Documentation/performance.rst")
    bad = [f"not measured: {old} / {new}" for old, new in rows
           if not re.search(rf"(?<![\d.]){re.escape(f'{old} / {new}')}(?![\d.])",
                            measured)]
    return bad if rows else ["README.rst has no figures"]


PROGRAMS = {"vhx-switch": "vhx-switch/main.c", "vhx-top": "vhx-top/main.c",
            "vhx-pin": "vhx-top/pin.c", "vhx-status": "vhx-top/status.c"}


def options():
    """Those of each program, long and short, are on its page, below the synopsis."""
    bad = []
    for program, source in PROGRAMS.items():
        page = text_of(f"Documentation/man/{program}.8").replace(
            "\\-", "-").split(".SH DESCRIPTION")[1]
        found = re.findall(r'^\t{ "([\w-]+)", (?:\w+, NULL, )?(?:\'(\w)\')?',
                           text_of(f"tools/{source}"), re.M)
        short = re.search(r'getopt_long\(argc, argv, "([\w:]*)"',
                          text_of(f"tools/{source}"))
        bad += [] if found else [f"{source} has no options"]
        for name, letter in found:
            if not re.search(rf"^\.[BTI].*--{name}\b", page, re.M):
                bad.append(f"{program}(8): no --{name}")
            if letter and (not short or letter in short[1]) and \
                    not re.search(rf"^\.B.*(?<!-)-{letter}\b", page, re.M):
                bad.append(f"{program}(8): no -{letter}")
    return bad


def pages():
    return sorted(str(path.relative_to(TOP)) for pattern in
                  ("*.rst", "Documentation/**/*.rst", "contrib/**/*.rst", "tools/**/*.rst")
                  for path in TOP.glob(pattern))


def links():
    """Links and pictures lead to files, and each picture is shown."""
    bad, shown = [], set()
    for name in pages():
        folder = (TOP / name).parent
        text = text_of(name)
        pictures = re.findall(r"^\.\. image:: (\S+)$", text, re.M)
        shown |= {(folder / picture).resolve() for picture in pictures}
        bad += [f"{name}: there is no {target}" for target in
                pictures + re.findall(r"<([\w./-]+\.rst)>`_", text)
                if not (folder / target).exists()]
    for picture in TOP.glob("Documentation/*.svg"):
        ElementTree.parse(picture)
        if picture.resolve() not in shown:
            bad.append(f"no page shows {picture.name}")
    return bad


def mentions():
    """A page that is named by its file is there, here or in the tree."""
    bad = []
    for name in pages():
        places = [TOP, TOP / "Documentation", (TOP / name).parent]
        bad += [f"{name}: there is no {page}" for page in re.findall(
                r"``([\w./-]+\.rst)``", text_of(name))
                if not any(Path(place, page).exists() for place in places)]
    return bad


CASES = {
    "style.man.vhx_net_has_all_parameters_ok": parameters,
    "style.man.vhx_net_has_all_defaults_ok": defaults,
    "style.man.vhx_net_has_all_of_vhx_h_ok": ioctls,
    "style.man.vhx_net_has_all_messages_ok": diagnostics,
    "style.man.programs_have_all_options_ok": options,
    "style.docs.module_installed_and_removed_ok": installed_and_removed,
    "style.docs.readme_figures_are_measured_ok": readme_figures,
    "style.docs.links_lead_somewhere_ok": links,
    "style.docs.named_pages_are_there_ok": mentions,
}
