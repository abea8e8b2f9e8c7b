#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the stages of a check side by side and counts what they report.

usage: check [fast | all | resume | STAGE...]

  check             what `make check` runs: each feature on one kernel at least
  check fast        under 3 minutes: style, engine, models, one build, one boot
  check all         the matrix of guests, QEMUs and clients, debug kernels,
                    full laps; its table goes to all.txt
  check resume      goes on with a `check all` that was cut off or failed: not
                    once more what passed at this commit, in whichever check
  check STAGE...    some stages, each one word of the shell:
                    check "selftests 6.12" "guests 7.3 kvm pair,mq"
  check --list      the stages of each, with what they took last time

A stage writes KTAP to its standard output and talk to its standard error; both
are kept below the cache. The last line is `N passed, N failed`.
"""
import glob
import json
import os
import signal
import subprocess
import sys
import time

import ktap
import plans
import stages
from jobs import Runner, Times, clock

# command (or file) and package, of what only checking needs
PACKAGES = (("rst2html", "python3-docutils"), ("gnuplot", "gnuplot-nox"),
            ("sphinx-build", "python3-sphinx"),
            ("shellcheck", "shellcheck"), ("yamllint", "yamllint"),
            ("clang", "clang"), ("git", "git"),
            ("/usr/share/doc/libclang-rt-14-dev", "libclang-rt-14-dev"),
            ("mandoc", "mandoc"), ("pyflakes3", "pyflakes3"),
            ("spin", "spin"), ("tcc", "tcc"), ("abidiff", "abigail-tools"))
# and of what single stages need, by their first word
OF_STAGES = {"engine32": ("/usr/share/doc/gcc-multilib", "gcc-multilib"),
             "rights": ("/lib/systemd/systemd", "systemd"),
             "ansible": ("ansible-lint", "ansible-lint"),
             "coverage": ("gcovr", "gcovr")}


def install_packages(texts):
    """What the rig needs, what only checking needs, and some stages alone."""
    wanted = list(PACKAGES) + [OF_STAGES[kind] for kind in sorted(
        {text.split()[0] for text in texts} & set(OF_STAGES))]
    missing = [package for name, package in wanted if not (
        os.path.exists(name) if name[0] == "/" else
        subprocess.run(["which", name], stdout=subprocess.DEVNULL,
                       check=False).returncode == 0)]
    with open(f"{stages.OUT}/deps.log", "w") as log:
        commands = [[stages.VM, "deps"]]
        if missing:
            print("installing by apt: " + " ".join(missing), flush=True)
            commands += [["apt-get", "-qq", "update"],
                         ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", "install",
                          "--no-install-recommends", *missing]]
        for argv in commands:
            if subprocess.run(argv, stdout=log, stderr=log, check=False,
                              env={**os.environ, "DEBIAN_FRONTEND":
                                   "noninteractive"}).returncode:
                log.flush()
                with open(log.name) as said:
                    sys.exit(said.read() + f"check: {' '.join(argv)} failed")


def stem(job):
    """Where the results of a job lie, less .tap and .log."""
    name = "".join(c if c.isalnum() or c == "." else "-" for c in job.name)
    return os.path.join(stages.OUT, name)


class Report:
    """Says what each job came to, and what all did."""

    def __init__(self, table):
        self.table, self.total, self.rows = table, ktap.Counts(), []

    def result(self, job):
        """Counts of a stage: one that came to no end, or said nothing, failed."""
        counts = ktap.count(stem(job) + ".tap")
        if not counts.bad and (job.status != 0 or not counts.all):
            counts.bad = 1
        return counts

    def done(self, job):
        if not job.is_stage:
            if job.status != 0:
                self.explain(job, [])
            elif job.secs > 5:
                print(f"    prepared: {job.name}, {job.secs:.0f} s", flush=True)
            return
        counts = self.result(job)
        self.total += counts
        self.rows.append((job, counts))
        if job.name in plans.ALL:
            self.table.put(job, counts)
        print(self.row(job, counts), flush=True)
        if counts.bad:
            self.explain(job, counts.faults)

    @staticmethod
    def row(job, counts):
        return (f"{job.name:<28}{counts.ok:5} passed {counts.bad:3} failed "
                f"{counts.skipped:3} skipped {job.secs:5.0f} s {job.cpu:5.0f} "
                "s CPU")

    @staticmethod
    def explain(job, faults):
        path = stem(job)
        for line in faults:
            print(f"    {line}")
        if job.status is None:
            print(f"    {job.name}: not run: what it needs could not be made")
            return
        if job.is_late:
            print(f"    {job.name}: ended after {clock(job.limit)}")
        with open(path + ".log", errors="replace") as log:
            for line in log.readlines()[-20:]:
                print(f"    | {line.rstrip()}")
        print(f"    see {path}.tap and .log", flush=True)

    def end(self, began):
        for reason in sorted(set(self.total.reasons)):
            print(f"{self.total.reasons.count(reason):5} skipped: {reason}")
        retried = [job.name for job, _ in self.rows if has_retried(job)]
        if retried:
            print("A machine was booted twice in: " + ", ".join(retried))
        print(f"Whole time: {time.monotonic() - began:.0f} s. "
              f"Results: {stages.OUT}")
        print(f"{self.total.ok} passed, {self.total.bad} failed")
        return self.total.bad == 0


def has_retried(job):
    """Whether a machine died before its command began, and had a second go."""
    if job.status is None:
        return False
    with open(stem(job) + ".log", errors="replace") as log:
        return any("one retry" in line for line in log)


def show_list():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)       # of `| head`
    times = Times(f"{stages.CACHE}/check/times.json")
    for name, texts in plans.PLANS.items():
        print(f"{name}:")
        for job in plans.jobs(texts):
            if job.is_stage:
                print(f"  {job.name:<60} {clock(times.secs(job))}")


class Table:
    """What each stage of `check all` came to: all.json, and all.txt to read."""

    def __init__(self):
        self.path, self.rows = f"{stages.OUT}/all", {}
        self.commit = stages.said("git", "-C", stages.TOP, "describe",
                                  "--always", "--dirty", "--abbrev=12")
        if os.path.exists(self.path + ".json"):
            with open(self.path + ".json") as file:
                self.rows = json.load(file)

    def has(self, name):
        """Whether a stage passed at this commit and its results are still there:
        another plan takes them away, and the tables of features.rst are made of them."""
        row = self.rows.get(name)
        return bool(row and row["commit"] == self.commit and not row["failed"]
                    and os.path.exists(stem(plans.job(name)) + ".tap"))

    def put(self, job, counts):
        self.rows[job.name] = {
            "commit": self.commit, "date": time.strftime("%Y-%m-%d %H:%M"),
            "failed": counts.bad, "text": Report.row(job, counts)}
        with open(self.path + ".json", "w") as file:
            json.dump(self.rows, file, indent=1)
        with open(self.path + ".txt", "w") as file:
            for row in filter(None, map(self.rows.get, plans.ALL)):
                print(row["date"], row["commit"], row["text"], file=file)


def to_resume(table):
    """The stages of `check all` that have not passed at this commit."""
    if table.commit.endswith("-dirty"):
        sys.exit("check: what changed since the last commit was not part of a "
                 "`check all`: commit it, or run all")
    return [text for text in plans.ALL
            if not table.has(text) or text.startswith("features")]


def check(words):
    began = time.monotonic()
    os.makedirs(stages.OUT, exist_ok=True)
    name = " ".join(words) or "check"
    table = Table()
    texts = to_resume(table) if name == "resume" else \
        plans.PLANS.get(name, words)
    if name in plans.PLANS:
        # of a plan that is run again nothing may be taken for its own
        for path in glob.glob(f"{stages.OUT}/*.tap"):
            os.unlink(path)
    print("Packages that are missing, then kernels and programs: once.",
          flush=True)
    install_packages(texts)
    times = Times(f"{stages.CACHE}/check/times.json")
    report = Report(table)
    Runner(plans.jobs(texts), times, stem,
           lambda job: ktap.count(stem(job) + ".tap"), report.done).run()
    return report.end(began)


def main():
    words = sys.argv[1:]
    os.chdir(stages.TOP)
    if words[:1] == ["--stage"]:
        stages.run(words[1], words[2:])
        return 0
    if words[:1] == ["--list"]:
        show_list()
        return 0
    if words and words[0].startswith("-"):
        print(__doc__.strip())
        return 0 if words[0] in ("-h", "--help") else 2
    # who ends a check ends its jobs
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return 0 if check(words) else 1


if __name__ == "__main__":
    sys.exit(main())
