#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Has spin check each model of this folder, and each mutation of it. KTAP.

usage: check.py [MODEL...]

A line `holds: WORDS` in the head of a model is a run with these words defined,
in which spin must find no error; in one of `caught: WORDS` it must find one: a
state that nobody leaves, or a failed assertion. The steps that lead to one are
shown by these, in a copy of the folder:

  spin -DWORD... -run MODEL.pml
  spin -DWORD... -t -p -g MODEL.pml
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ERROR = re.compile(r"^pan:1: (invalid end state|assertion violated)", re.M)


def runs(model):
    """(name of the result, is it to hold, words) of each run of a model."""
    with open(f"{HERE}/{model}.pml") as file:
        text = file.read()
    found = re.findall(r"^ \* (holds|caught):(.*)", text, re.M)
    if {verdict for verdict, _ in found} != {"holds", "caught"}:
        sys.exit(f"{model}.pml: nothing that holds, or nothing that is caught")
    known = set(re.findall(r"^#ifn?def (\w+)", text, re.M))
    unused = known - {word for _, words in found for word in words.split()}
    if unused:
        sys.exit(f"{model}.pml: no run with {' '.join(unused)}")
    for verdict, words in found:
        end = "ok" if verdict == "holds" else "is_caught"
        yield (f"models.{model}." + "_".join([*words.lower().split(), end]),
               verdict == "holds", words.split())


def talk_of(*argv, cwd):
    """What a command says; CalledProcessError if it fails."""
    return subprocess.run(argv, cwd=cwd, text=True, check=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT).stdout


def search(model, words):
    """What spin's search of all states says, which must come to its end."""
    with tempfile.TemporaryDirectory() as place:
        talk_of("spin", *(f"-D{word}" for word in words), "-a",
                f"{HERE}/{model}.pml", cwd=place)
        talk_of("tcc", "-w", "-DSAFETY", "-o", "pan", "pan.c", cwd=place)
        return talk_of("./pan", "-w18", cwd=place)


def judge(model, is_to_hold, words):
    """Whether a run came out as it must, and what spin said."""
    try:
        said = search(model, words)
    except subprocess.CalledProcessError as error:
        return False, error.stdout
    if is_to_hold:
        return "errors: 0\n" in said and "max search depth" not in said, said
    return bool(ERROR.search(said)), said


def main(models):
    models = models or sorted(
        name[:-4] for name in os.listdir(HERE)
        if name.endswith(".pml") and name != "memory.pml")
    todo = [(name, (model, is_to_hold, words)) for model in models
            for name, is_to_hold, words in runs(model)]
    print(f"KTAP version 1\n1..{len(todo)}", flush=True)
    is_all_ok = True
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(lambda one: judge(*one[1]), todo)
        for nr, ((name, _), (is_ok, said)) in enumerate(zip(todo, done), 1):
            print(f"{'' if is_ok else 'not '}ok {nr} {name}", flush=True)
            if not is_ok:
                print(said, file=sys.stderr)
                is_all_ok = False
    return 0 if is_all_ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
