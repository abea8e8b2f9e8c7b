#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What can be checked of the tree without running it. Prints KTAP.

usage: style.py [PATTERN...]

A pattern is a shell pattern of names of cases; without one all are run. A case
is a function that returns complaints, one a line, or raises Skip. The files are
those that git knows or would add.
"""
import ast
import concurrent.futures
import fnmatch
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import style_docs
import style_names
import style_project
from style_base import (TESTS, TOP, Skip, complaints_of, need, run, text_of,
                        tree_files)

CACHE = Path(os.environ.get("VHX_CACHE") or Path(
    os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "vhx"))
CASES = {**style_names.CASES, **style_docs.CASES, **style_project.CASES}
TRACE_HEADER = "drivers/vhost/trace.h"
COMPILE = "cc -std=gnu11 -Wall -Werror -Itools/lib/vhx/include -x c -c " \
    "-o /dev/null -".split()
QUICK_BUILD = dict(os.environ, CFLAGS="-O0 -g", MAKEFLAGS=f"-j{os.cpu_count()}")


def case(name):
    def add(function):
        CASES[name] = function
        return function
    return add


# -- the tree -----------------------------------------------------------------

def language(name):
    """c, python, shell or nothing: by the name, else by the first line."""
    by_name = {".c": "c", ".h": "c", ".py": "python", ".sh": "shell",
               ".bash": "shell"}
    with open(TOP / name, errors="replace") as file:
        first = file.readline()
    by_line = re.match(r"#!.*\b(python|sh$|bash$|sh |bash )", first)
    if by_line:
        return "python" if by_line[1] == "python" else "shell"
    return by_name.get(Path(name).suffix)


FILES = tree_files()
SOURCES = {name: language(name) for name in FILES}
SOURCES = {name: lang for name, lang in SOURCES.items() if lang}


def sources(*languages, under=("",)):
    return [name for name, lang in SOURCES.items()
            if lang in languages and name.startswith(tuple(under))]


@case("style.arrows.includes_ok")
def arrows():
    return complaints_of("scripts/check-includes")


@case("style.tree.no_machine_paths_ok")
def machine_paths():
    """No paths of a machine, no hosts of packages."""
    bad = re.compile(r"(^|[^.a-z])/(work|farm)/|(deb|snapshot)\.debian\.org")
    return [f"{name}:{i}: {line}" for name in FILES
            for i, line in enumerate(text_of(name).splitlines(), 1)
            if bad.search(line)]


@case("style.tree.licences_ok")
def licences():
    """On line 1, or behind the line that names the interpreter."""
    names = set(SOURCES) | {name for name in FILES if re.search(
        r"\.(rst|map|mk|pml|rs|toml|ya?ml|[1-8])$|(^|/)(Kbuild|Makefile|\.yamllint)$", name)}
    bad = []
    for name in sorted(names):
        lines = text_of(name).splitlines()[:2]
        line = lines[1] if lines and lines[0].startswith("#!") else lines[0]
        if "SPDX-License-Identifier: " not in line:
            bad.append(f"{name}: no SPDX line")
    return bad


@case("style.tree.files_up_to_600_lines_ok")
def file_lengths():
    lengths = {name: len(text_of(name).splitlines()) for name in SOURCES}
    return [f"{name}: {length} lines" for name, length in lengths.items()
            if length > 600]


def functions_of(name):
    """(first line, number of lines) of each function."""
    text = text_of(name)
    if SOURCES[name] == "python":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node.name, node.end_lineno - node.lineno + 1
        return
    head = {"c": r"^(\w[^\n;]*)(?:\n[^;{}]*?)?\n\{\n",
            "shell": r"^(?:function )?(\w+)\(\) *[({].*\n"}[SOURCES[name]]
    for found in re.finditer(head, text, re.M):
        body = text[found.start():]
        yield found[1], body[:re.search(r"^[})]", body, re.M).end()].count("\n") + 1


@case("style.tree.functions_up_to_80_lines_ok")
def function_lengths():
    """They aim at 40."""
    return [f"{name}: {function}: {lines} lines" for name in SOURCES
            for function, lines in functions_of(name) if lines > 80]


# -- C --------------------------------------------------------------------------

def kernel_doc_script():
    """From the build tools of the kernel that the rig fetched: 6.1's knows no
    -Wall, 7.3's is a folder of Python modules that Debian does not give out."""
    fetched = subprocess.run(["tools/testing/vm/vm", "fetch", "6.12"], cwd=TOP,
                             text=True, stdout=subprocess.PIPE, check=False)
    script = Path(fetched.stdout.strip(), "build/scripts/kernel-doc")
    if fetched.returncode or not script.is_file():
        raise Skip("vm fetch 6.12 gives no kernel-doc")
    return script


@case("style.c.kernel_doc_ok")
def kernel_doc():
    """Its status is 0 whatever it says."""
    script = kernel_doc_script()
    return run("perl", script, "-none", "-Wall",
               *sources("c")).stdout.splitlines()


# What checkpatch says and what is no fault, with the reason.
ACCEPTED = {
    "ring/ is compiled where there is no BIT()": "BIT_MACRO",
    "compat.h: a function of a newer kernel that does nothing in an older one":
        "MACRO_ARG_UNUSED",
    "the argument is the name of a member": "MACRO_ARG_PRECEDENCE",
    "locks are described by the kernel-doc of their struct":
        "UNCOMMENTED_DEFINITION",
    "messages are not split": "LONG_LINE_STRING",
    "lists that are read more than once": "COMPLEX_MACRO MACRO_ARG_REUSE",
}
ACCEPTED_TRACE = {
    "the layout of TRACE_EVENT(), and macros that are parts of one":
        "BRACKET_SPACE COMPLEX_MACRO MACRO_ARG_REUSE OPEN_ENDED_LINE "
        "PARENTHESIS_ALIGNMENT",
}
ACCEPTED_USER = {
    "only the kernel has what it asks for": "ARRAY_SIZE MINMAX STRCPY STRNCPY "
        "PREFER_DEFINED_ATTRIBUTE_MACRO VOLATILE",
    "arrays of char * that a library writes to": "STATIC_CONST_CHAR_ARRAY",
    "macros that define fields": "TRAILING_SEMICOLON",
}
ACCEPTED_TESTS = {
    "what macros of kselftest_harness.h expand to": "BRACES LINE_SPACING "
        "MACRO_WITH_FLOW_CONTROL MULTISTATEMENT_MACRO_USE_DO_WHILE NEW_TYPEDEFS",
    "libFuzzer's names": "CAMELCASE",
    "words of test names": "EMBEDDED_FUNCTION_NAME",
    "a system call that the kernel lacks": "ENOSYS",
    "`enum op op`": "REPEATED_WORD",
    "tables of cases, one a line": "TRAILING_STATEMENTS",
}


def checkpatch_command(*accepted):
    """No Debian package has it: from the source of the debug kernel, where the
    rig has built that."""
    scripts = sorted(CACHE.glob("kernels/*/src/scripts/checkpatch.pl"))
    if not scripts:
        raise Skip("no checkpatch.pl: the rig has fetched no kernel source here")
    types = [kind for reasons in accepted for kind in reasons.values()]
    return ["perl", scripts[-1], "--strict", "--no-tree", "--no-summary",
            "--show-types", "--terse", "--ignore",
            ",".join(" ".join(types).split()), "-f"]


def checkpatch(area, names, *accepted):
    """It takes a minute for all: what was clean once is not read again."""
    command = checkpatch_command(*accepted)
    keys = {name: hashlib.sha256(f"{command} {text_of(name)}".encode()).hexdigest()
            for name in names}
    clean = CACHE / "style" / f"checkpatch-{area}"
    known = clean.read_text().split() if clean.exists() else []
    new = [name for name in names if keys[name] not in known]
    bad = complaints_of(*command, *new) if new else []
    faulty = {line.split(":")[0] for line in bad}
    if all(name in names for name in faulty):
        clean.parent.mkdir(parents=True, exist_ok=True)
        clean.write_text("\n".join(keys[name] for name in names
                                   if name not in faulty))
    return bad


@case("style.c.checkpatch_selftests_ok")
def checkpatch_selftests():
    return checkpatch("selftests", sources("c", under=[TESTS + "selftests/"]),
                      ACCEPTED, ACCEPTED_USER, ACCEPTED_TESTS)


@case("style.c.checkpatch_other_tests_ok")
def checkpatch_other_tests():
    names = [name for name in sources("c", under=[TESTS])
             if not name.startswith(TESTS + "selftests/")]
    return checkpatch("tests", names, ACCEPTED, ACCEPTED_USER, ACCEPTED_TESTS)


@case("style.c.checkpatch_library_ok")
def checkpatch_library():
    return checkpatch("library", sources("c", under=["tools/lib/",
                                                     "tools/vhx-switch/",
                                                     "tools/vhx-top/"]),
                      ACCEPTED, ACCEPTED_USER)


@case("style.c.checkpatch_module_ok")
def checkpatch_module():
    names = sources("c", under=["drivers/", "include/"])
    names.remove(TRACE_HEADER)
    return checkpatch("module", names, ACCEPTED)


@case("style.c.checkpatch_tracepoints_ok")
def checkpatch_tracepoints():
    return checkpatch("tracepoints", [TRACE_HEADER], ACCEPTED, ACCEPTED_TRACE)


def last_release():
    """The commit that wrote the newest heading of CHANGELOG.rst into it whose
    libraries have the SONAME of this tree."""
    soname = style_names.soname()
    for heading, version in style_names.releases():
        if version.startswith(soname + "."):
            commits = run("git", "log", "--format=%H", f"-S{heading}", "--",
                          "CHANGELOG.rst").stdout.split()
            if commits:
                return commits[-1]
    raise Skip(f"no version {soname} was committed, and it promises nothing to "
               "users of those before")


@case("style.c.libvhx_abi_ok")
def abi():
    """What users of the headers see; new functions are welcome."""
    commit, command = last_release(), ["abidiff", "--no-added-syms"]
    need("abidiff")
    bad = []
    with tempfile.TemporaryDirectory() as tmp:
        old = Path(tmp, "old")
        bad += complaints_of("sh", "-c", f"mkdir {old} && git archive {commit} | "
                             f"tar -x -C {old}")
        for i, tree in enumerate((old, TOP), 1):
            library = Path(tmp, f"{i}/{style_names.library()}")
            bad += complaints_of("make", "-s", "-C", tree / "tools/lib/vhx",
                                 f"OUTPUT={library.parent}", library,
                                 env=QUICK_BUILD)
            command += [f"--hd{i}", tree / "tools/lib/vhx/include", library]
        return bad or complaints_of(*command)


# -- scripts and documents ----------------------------------------------------

@case("style.python.pyflakes_ok")
def pyflakes():
    return complaints_of(need("pyflakes3"), *sources("python"))


@case("style.shell.shellcheck_ok")
def shellcheck():
    return complaints_of(need("shellcheck"), "-S", "warning", "-e", "SC2187",
                         *sources("shell"))


def add_pages():
    for name in FILES:
        # those that only Sphinx understands are for it
        if not name.endswith(".rst") or re.search(
                r"^\.\. (toctree|kernel-doc)::", text_of(name), re.M):
            continue
        page = name.removeprefix("Documentation/").removesuffix(".rst")
        CASES[f"style.docs.{page.replace('/', '-')}_ok"] = \
            lambda name=name: complaints_of(need("rst2html"), "--strict",
                                            "--report=2", name, "/dev/null")


PLOTTED = """\
======  ===========  ===
row     two figures  one
======  ===========  ===
first   7 / 0.5      1
second  7 / 2        —
third   — / 1        —
======  ===========  ===

.. plot: name = 2/2
   axis: unit
   line: 1

.. figure:: drawn.svg
   :alt: bars

   Title of it
"""


def plotted(text, folder, **options):
    """What plot-tables says of a page, and the widths of the bars it draws."""
    page = Path(folder, "page.rst")
    page.write_text(text)
    said = complaints_of("scripts/plot-tables", page, folder, **options)
    drawn = Path(folder, "drawn.svg")
    ends = re.findall(r"<polygon [^>]*points = '([\d.]+),\S+ ([\d.]+),",
                      drawn.read_text() if drawn.exists() else "")
    return said, [float(right) - float(left) for left, right in ends]


@case("style.docs.plot_has_the_numbers_of_its_table_ok")
def plot_numbers():
    """One that is shorter than the line, one that is longer, one at it."""
    need("gnuplot")
    with tempfile.TemporaryDirectory() as tmp:
        said, widths = plotted(PLOTTED, tmp)
        text = Path(tmp, "drawn.svg").read_text()
    found = [round(width / widths[-1], 2) for width in widths]
    return said + [f"is not in the picture: {word}" for word in
                   ("first", "second", "third", "unit", "Title of it")
                   if f">{word}<" not in text] + \
        ([f"bars of {found}"] if found != [0.5, 2, 1] else [])


@case("style.docs.plot_of_no_table_is_an_error_ok")
def plot_errors():
    wrong = {"no column 4": ("2/2", "4"), "no numbers": ("2/2", "3/2"),
             "is not NAME = COLUMN": ("name = 2/2", "name"),
             "no table above": (PLOTTED.split("\n\n")[0], ""),
             "no figure behind": (PLOTTED.split("\n\n")[-2], ".. of it"),
             "has no title": ("   Title of it\n", ""),
             "makes a list": ("— / 1", "- / 1"),
             "apt-get install gnuplot-nox": ("", "")}
    with tempfile.TemporaryDirectory() as tmp:
        # where there is no gnuplot
        alone = {**os.environ, "PATH": tmp}
        return [f"not said: {what}" for what, (old, text) in wrong.items()
                if what not in " ".join(plotted(PLOTTED.replace(old, text), tmp,
                                                env=alone)[0])]


@case("style.docs.marked_tables_are_drawn_ok")
def plots_drawn():
    """A picture of each figure of the page, and one of each table at least."""
    need("gnuplot")
    name = "Documentation/performance.rst"
    wanted = re.findall(r"^\.\. figure:: (\S+)$", text_of(name), re.M)
    with tempfile.TemporaryDirectory() as tmp:
        bad = complaints_of("scripts/plot-tables", name, tmp)
        drawn = {path.name: path.read_text() for path in Path(tmp).iterdir()}
    return bad + [f"{file}: no bars" for file in wanted
                  if "<polygon" not in drawn.get(file, "")] + \
        [f"{file}: in no figure" for file in drawn if file not in wanted] + \
        ([] if wanted else ["no figures"])


def tests():
    """By name, of C and of guests on the switch."""
    found = {f"{area}.{name}" for source in sources("c", under=(TESTS,))
             for area, name in re.findall(r"^TEST_F\w*\((\w+), (\w+)",
                                          text_of(source), re.M)}
    for path in FILES:
        area, kind = os.path.splitext(os.path.basename(path))
        if kind == ".py" and path.startswith("tools/testing/switch/"):
            found |= {f"{area}.{name}" for name in
                      re.findall(r'"(\w+_ok)", ', text_of(path))}
    return found


def names_tests(path):
    known = tests()
    named = re.findall(r"``([a-z]\w*\.[a-z0-9_]+_(?:\w+))``", text_of(path))
    return [f"no test {name}" for name in named if name not in known] if named \
        else ["no test is named"]


@case("style.docs.threats_names_tests_ok")
def threats():
    """A test that it names is there."""
    return names_tests("Documentation/threats.rst")


@case("style.docs.library_has_all_feature_bits_ok")
def feature_bits():
    """Each that the library may offer, with a test that is there."""
    text = text_of("tools/lib/vhx/driver.c")
    offered = re.findall(r"BIT_ULL\(V\w+?_F_(\w+)\)",
                         text[:text.index("/* What peers may have")])
    table = text_of("Documentation/library.rst")
    return names_tests("Documentation/library.rst") + [
        f"no row for {name}" for name in offered
        if not re.search(rf"^{name} +``", table, re.M)]


MAN_PAGES = [name for name in FILES if name.startswith("Documentation/man/")]


@case("style.man.lint_ok")
def man_lint():
    """All that it says, up to a line of the source that is too long."""
    return complaints_of(need("mandoc"), "-T", "lint", *MAN_PAGES)


@case("style.man.libvhx_has_all_functions_ok")
def man_functions():
    exported = text_of("tools/lib/vhx/libvhx.map").split("VHX_PRIVATE")[0]
    page = text_of("Documentation/man/libvhx.3")
    return [f"libvhx.3 lacks {name}" for name in
            re.findall(r"^\t(vhx_\w+);", exported, re.M)
            if not re.search(rf"\b{name}\(", page)]


@case("style.man.examples_compile_ok")
def man_compile():
    """C by the compiler, commands by the shell's parser."""
    bad = []
    for name in MAN_PAGES:
        for text in re.findall(r"^\.EX\n(.*?)^\.EE$", text_of(name),
                               re.M | re.S):
            text = text.replace("\\e", "\\").replace("\\-", "-")
            cmd = COMPILE if "int main(" in text else ["bash", "-n"]
            done = subprocess.run(cmd, cwd=TOP, input=text, text=True,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False)
            if done.returncode:
                bad += [f"{name}:"] + done.stdout.splitlines()
    return bad


@case("style.docs.readme_commands_run_ok")
def readme_commands():
    """Its builds, as they stand, in another folder than /tmp and without
    optimisation; then what it names below /tmp must be there. HTML is the next
    case's."""
    with tempfile.TemporaryDirectory() as tmp:
        text = text_of("README.rst").replace("/tmp/", tmp + "/")
        commands = re.findall(r"^\t(make tools\b.*)$", text, re.M)
        bad = [line for command in commands
               for line in complaints_of("sh", "-c", command, env=QUICK_BUILD)]
        results = re.findall(re.escape(tmp) + r"/(?!vhx-docs)[\w./-]+", text)
        bad += [f"is not there: {path.replace(tmp, '/tmp')}"
                for path in results if not Path(path).exists()]
    return bad if results else ["README.rst builds nothing"]


def dead_links(folder):
    return [f"{page.relative_to(folder)}: no {href}" for page in folder.rglob("*.html")
            for href in set(re.findall(r'href="([^":#?]+)["#?]', page.read_text()))
            if not (page.parent / href).exists()]


@case("style.docs.html_no_warning_ok")
def html():
    """Sphinx's warnings are errors; what a page links to is there."""
    need("gnuplot")
    need("sphinx-build")
    with tempfile.TemporaryDirectory() as tmp:
        bad = complaints_of("make", "-s", "docs", f"OUTPUT={tmp}", env={
            **os.environ, "KERNEL_DOC": str(kernel_doc_script())})
        pages = {f"man/{Path(name).name}.html" for name in MAN_PAGES}
        index = Path(tmp, "index.html")
        return bad or dead_links(Path(tmp)) + [
            f"index.html has no link to {page}" for page in sorted(pages)
            if f'href="{page}"' not in index.read_text()]


@case("style.docs.tools_installed_and_removed_ok")
def tools_installed():
    """What install-tools puts there is enough for libvhx(3)'s example, and
    uninstall-tools leaves nothing."""
    text = re.search(r"^\.EX\n(#include.*?)^\.EE$", text_of(
        "Documentation/man/libvhx.3"), re.M | re.S)[1].replace("\\e", "\\")
    with tempfile.TemporaryDirectory() as tmp:
        root = f"{tmp}/root"
        make = ["make", "-s", f"OUTPUT={tmp}/out", f"DESTDIR={root}",
                "PREFIX=/usr", "LIBDIR=/usr/lib/here"]
        # built without a word on where to
        bad = complaints_of(*make[:3], "tools", env=QUICK_BUILD)
        bad += complaints_of(*make, "install-tools", env=QUICK_BUILD)
        Path(tmp, "example.c").write_text(text)
        bad += complaints_of(
            "sh", "-c", "gcc example.c -o example "
            "$(pkg-config --cflags --libs libvhx)", cwd=tmp,
            env={**os.environ, "PKG_CONFIG_SYSROOT_DIR": root,
                 "PKG_CONFIG_LIBDIR": f"{root}/usr/lib/here/pkgconfig"})
        bad += complaints_of(*make, "uninstall-tools", env=QUICK_BUILD)
        bad += [f"is left: {path}" for path in Path(root).rglob("*")
                if not path.is_dir()]
    return bad


# -- running ------------------------------------------------------------------

def judge(function):
    """Result, reason to skip or nothing, complaints."""
    try:
        complaints = function()
    except Skip as reason:
        return "ok", f" # SKIP {reason}", []
    except Exception as error:  # pylint: disable=broad-except
        complaints = [f"{type(error).__name__}: {error}"]
    return "not ok" if complaints else "ok", "", complaints


def main(patterns):
    add_pages()
    names = [name for name in CASES if not patterns or any(
        fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    if not names:
        sys.exit("no case has such a name: " + ", ".join(CASES))
    failed = 0
    print(f"KTAP version 1\n1..{len(names)}")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = [pool.submit(judge, CASES[name]) for name in names]
        for i, name in enumerate(names, 1):
            result, reason, complaints = results[i - 1].result()
            failed += result != "ok"
            for line in complaints:
                print("#", line)
            print(f"{result} {i} {name}{reason}", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
