#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What bash offers for vhx's programs: KTAP on stdout.

usage: completion_test.py FOLDER...      of the programs
"""
import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(HERE, "../completion/vhx.bash")
WAIT = 20
# What bash itself does between the key and the function that complete -p names.
ASK = r"""
shopt -s extglob
source "$1"
COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=9
breaks=${COMP_WORDBREAKS//[[:blank:]]}
read -ra COMP_WORDS <<<"$(sed "s/[=:]/ & /g" <<<"$2")"
[[ $2 != *[[:blank:]] ]] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
program=${2%% *}
spec=$(complete -p "${program##*/}") || exit
function=$(sed -n 's/.* -F \([^ ]*\).*/\1/p' <<<"$spec")
"$function" "$program" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
[ ${#COMPREPLY[@]} = 0 ] || printf '%s\n' "${COMPREPLY[@]}"
"""
CASES = []
PROGRAMS = {}


class Wrong(Exception):
    """What is offered is not what there is."""


def case(func):
    CASES.append(func)
    return func


def expect(wanted, got, what=""):
    if wanted != got:
        raise Wrong(f"{what}: {got!r}, not {wanted!r}")


def offered(line, **env):
    done = subprocess.run(["bash", "--norc", "-c", ASK, "ask", SCRIPT, line],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=WAIT, check=False, env={**os.environ, **env})
    expect("", done.stderr, line)
    return done.stdout.splitlines()


def help_of(program):
    return subprocess.run([PROGRAMS[program], "--help"], stdout=subprocess.PIPE,
                          text=True, timeout=WAIT, check=True).stdout


def options_of(program):
    """Each long option that help names, with its value, in the whole text."""
    found = {}
    for line in help_of(program).splitlines():
        words = re.match(r"\s+(?:-.,\s)?(--[a-z-]+)(?:[ =](\S+))?", line)
        if words:
            found[words[1]] = words[2]
    return found


@case
def options_are_those_of_help_ok():
    for program in PROGRAMS:
        known = options_of(program)
        if len(known) < 3:
            raise Wrong(f"{program} --help has {known}")
        expect(sorted(known), sorted(offered(f"{program} --")), program)
        # and no word of the text that is none
        spelled = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", help_of(program)))
        expect(set(), spelled - set(known) - {"--json"}, program)


@case
def options_that_fit_ok():
    expect(["--link-local"], offered("vhx-switch --offload --l"))
    expect(["--rules", "--ring"], sorted(offered("vhx-pin --r"), reverse=True))
    expect([], offered("vhx-pin --x"))


@case
def values_are_not_options_ok():
    """Behind an option that takes a value nothing else is offered."""
    for program in PROGRAMS:
        for name, value in options_of(program).items():
            got = [word for line in (f"{program} {name} ", f"{program} {name}=")
                   for word in offered(line) if word.startswith("--")]
            if value and got:
                raise Wrong(f"{program} {name} {value}: {got}")
            if not value and "--" not in "".join(offered(f"{program} {name} --")):
                raise Wrong(f"{program} {name}: nothing more is offered")


@case
def values_ok():
    expect(["rx", "tx"], offered("vhx-pin --ring "))
    expect(["rx", "tx"], offered("vhx-pin --ring="))
    expect(["tx"], offered("vhx-pin --list --ring=t"))
    expect(["lo"], [name for name in offered("vhx-pin --tap l") if name == "lo"])
    expect(["root"], offered("vhx-pin --user=roo"))
    heads = subprocess.run([PROGRAMS["vhx-top"], "--once"], stdout=subprocess.PIPE,
                           text=True, check=True).stdout.splitlines()[0].split()
    for option in ("--sort ", "--sort=", "-s "):
        expect(heads, offered("vhx-top " + option))
    expect(["/usr/lib/os-release"], offered("vhx-switch --ctl /usr/lib/os-release"))
    expect(["/usr/lib/os-release"], offered("vhx-switch --ctl=/usr/lib/os-release"))


@case
def ports_ok():
    """Kinds and keys are those of help."""
    spec = help_of("vhx-switch").split("SPEC is one of")[1].split("\n\n")[0]
    kinds, common = spec.split("with any of")
    expect(re.findall(r"^  ([\w-]+,\w+=)", kinds, re.M),
           offered("vhx-switch --port "))
    common = re.findall(r"^  (\w+=)", common, re.M)
    for text in re.split(r"\n(?=  \w)", kinds.strip("\n")):
        kind, *keys = re.findall(r"[\w-]+=?", re.sub(r"=\S+?(?=[,\[\]]|$)", "=",
                                                     text))
        for begin in (f"vhx-switch --port {kind},", f"vhx-switch ctl add {kind},",
                      f"vhx-switch --port={kind},"):
            expect(sorted(keys + common),
                   sorted(word.split(",")[-1] for word in offered(begin)), begin)
    expect(["0660"], offered("vhx-switch -p vhost-user,path=/a,mode=066"))
    expect(["on", "off"], offered("vhx-switch -p cuse,node=a,mrg_rxbuf="))
    expect(["root"], offered("vhx-switch --port=vhost-user,path=/a,group=roo"))
    expect(["/usr/lib/os-release"], offered("vhx-switch -p vhost-user,path=/usr/lib/os-release"))


@case
def words_of_ctl_ok():
    """As help has them, and names of ports that are there."""
    said = help_of("vhx-switch").split("asks a running switch:")[1]
    expect(sorted(set(re.findall(r"(show|add|del)\b", said)) | {"help"}),
           sorted(offered("vhx-switch ctl ")))
    expect(re.findall(r"show (\w+)", said), offered("vhx-switch ctl show "))
    expect(["--json"], offered("vhx-switch --ctl /x ctl show ports "))
    with tempfile.TemporaryDirectory() as tmp:
        ports = [word for name in ("web", "db", "$(touch evil)") for word in
                 ("--port", f"vhost-user,path={tmp}/{name[0]},name={name}")]
        proc = subprocess.Popen([PROGRAMS["vhx-switch"], "--ctl", f"{tmp}/ctl",
                                 *ports])
        try:
            deadline = time.monotonic() + WAIT
            while not offered(f"vhx-switch --ctl {tmp}/ctl ctl del w"):
                if time.monotonic() > deadline:
                    raise Wrong("no port is offered")
            for ctl in (f"--ctl {tmp}/ctl", f"--ctl={tmp}/ctl", f"-c {tmp}/ctl"):
                expect(["web"], offered(f"vhx-switch {ctl} ctl del w"))
            expect(["web", "db", "$(touch", "evil)"],
                   offered(f"vhx-switch --ctl {tmp}/ctl ctl del "))
            expect(False, os.path.exists("evil"), "a name was run")
        finally:
            proc.terminate()
            proc.wait()


@case
def tab_in_a_shell_ok():
    """By bash's own hands, in a terminal."""
    pid, fd = pty.fork()
    if not pid:
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    try:
        os.write(fd, b"PS1=; bind 'set enable-bracketed-paste off'\n"
                 b"source %s; echo rea''dy\n" % SCRIPT.encode())
        until(fd, "ready")
        for typed, wanted in (("vhx-pin --ring=r\t# 1", "vhx-pin --ring=rx # 1"),
                              ("vhx-switch ctl show por\t# 2",
                               "vhx-switch ctl show ports # 2"),
                              ("vhx-switch -p tap\t# 3",
                               "vhx-switch -p tap,ifname=# 3")):
            os.write(fd, typed.encode())
            until(fd, wanted)
            os.write(fd, b"\x15")
    finally:
        os.close(fd)
        os.waitpid(pid, 0)


def until(fd, text):
    said, deadline = "", time.monotonic() + WAIT
    while text not in said:
        if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
            raise Wrong(f"{text!r} is not in {said!r}")
        with contextlib.suppress(OSError):
            said += os.read(fd, 4096).decode(errors="replace")


def main(*folders):
    os.environ["PATH"] = ":".join([*map(os.path.abspath, folders),
                                   os.environ["PATH"]])
    for name in ("vhx-switch", "vhx-top", "vhx-pin", "vhx-status"):
        for folder in folders:
            path = os.path.join(os.path.abspath(folder), name)
            if os.path.exists(path):
                PROGRAMS[name] = path
    print(f"KTAP version 1\n1..{len(CASES)}")
    failed = 0
    for number, func in enumerate(CASES, 1):
        verdict = "ok"
        try:
            func()
        except Exception as err:    # a case's failure is its verdict
            verdict = "not ok"
            failed += 1
            print(f"# {type(err).__name__}: {err}")
        print(f"{verdict} {number} completion.{func.__name__}", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
