# SPDX-License-Identifier: GPL-2.0-only
"""Running jobs side by side: those that are ready, longest first, as many as
cores and memory carry; a line of progress every few seconds."""
import json
import os
import signal
import subprocess
import sys
import time

SHARE = 1.25        # cores promised to jobs over those there are: they wait, too


class Job:
    """One process. needs: names of jobs that must have succeeded before it."""

    def __init__(self, name, argv, needs=(), cores=1.0, gib=1.0, limit=1800,
                 guess=60, is_stage=True):
        self.name, self.argv, self.needs = name, argv, list(needs)
        self.cores, self.gib, self.limit, self.guess = cores, gib, limit, guess
        self.is_stage = is_stage        # else it prepares something for stages
        self.proc = None
        self.began = 0.0
        self.secs = self.cpu = 0.0
        self.status = None              # of the process; None: it did not run
        self.is_late = False

    def start(self, stem):
        with open(stem + ".tap", "w") as out, open(stem + ".log", "w") as log:
            self.proc = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                start_new_session=True)
        self.began = time.monotonic()

    def elapsed(self):
        return time.monotonic() - self.began

    def poll(self):
        """Whether it has ended, by itself or at its limit of time."""
        if self.elapsed() > self.limit:
            self.kill(signal.SIGKILL if self.elapsed() > self.limit + 30 else
                      signal.SIGTERM)
            self.is_late = True
        pid, status, usage = os.wait4(self.proc.pid, os.WNOHANG)
        if not pid:
            return False
        self.status = self.proc.returncode = os.waitstatus_to_exitcode(status)
        self.secs = self.elapsed()
        self.cpu = usage.ru_utime + usage.ru_stime
        return True

    def kill(self, how=signal.SIGTERM):
        """Its whole session: a machine that it booted as well."""
        try:
            os.killpg(self.proc.pid, how)
        except ProcessLookupError:
            pass


class Times:
    """What each job took when it last succeeded, over all checkouts."""

    def __init__(self, path):
        self.path = path
        try:
            with open(path) as file:
                self.known = json.load(file)
        except (FileNotFoundError, ValueError):
            self.known = {}

    def secs(self, job):
        return self.known.get(job.name, {}).get("secs", job.guess)

    def results(self, job):
        return self.known.get(job.name, {}).get("results", 0)

    def put(self, job, results):
        self.__init__(self.path)        # another checkout may have written
        self.known[job.name] = {"secs": round(job.secs, 1),
                                "cpu": round(job.cpu, 1), "results": results}
        with open(f"{self.path}.{os.getpid()}", "w") as file:
            json.dump(self.known, file, indent=1, sort_keys=True)
        os.rename(file.name, self.path)


class Runner:
    """Runs jobs; stem(job) names the files of one, less .tap and .log, and
    done(job) is called for each at its end, or when it cannot run any more."""

    def __init__(self, jobs, times, stem, count, done):
        self.waiting, self.running, self.over = list(jobs), [], {}
        self.times, self.stem, self.count, self.done = times, stem, count, done
        self.total = len(self.waiting)
        self.cores = (os.cpu_count() or 1) * SHARE
        self.gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") \
            / (1 << 30) * 0.9
        self.began = self.said = time.monotonic()

    def run(self):
        try:
            while self.waiting or self.running:
                self.drop_hopeless()
                self.start_ready()
                time.sleep(0.2)
                for job in [job for job in self.running if job.poll()]:
                    self.running.remove(job)
                    self.finish(job)
                self.say()
        finally:
            for job in self.running:
                job.kill()

    def finish(self, job):
        self.over[job.name] = job
        counts = self.count(job)
        if job.status == 0 and not counts.bad:
            self.times.put(job, counts.all)
        self.clear()
        self.done(job)

    def drop_hopeless(self):
        """What needs something that could not be made fails without a try."""
        for job in list(self.waiting):
            if any(need in self.over and not self.over[need].is_stage and
                   self.over[need].status != 0 for need in job.needs):
                self.waiting.remove(job)
                self.finish(job)

    def way(self, job):
        """Seconds from the start of a job to the end of all that needs it."""
        after = [self.way(other) for other in self.waiting
                 if job.name in other.needs]
        return self.times.secs(job) + max(after, default=0)

    def start_ready(self):
        ready = [job for job in self.waiting
                 if all(need in self.over for need in job.needs)]
        for job in sorted(ready, key=self.way, reverse=True):
            free = self.cores - sum(other.cores for other in self.running)
            left = self.gib - sum(other.gib for other in self.running)
            if self.running and (job.cores > free or job.gib > left):
                continue
            self.waiting.remove(job)
            self.running.append(job)
            job.start(self.stem(job))

    # -- progress -----------------------------------------------------------

    def far(self, job):
        """How far a job is, in per cent, by its results or by the last time."""
        by_time = job.elapsed() / max(self.times.secs(job), 1)
        last = self.times.results(job)
        by_results = self.count(job).all / last if last else 0
        return min(99, int(100 * max(min(by_time, 0.95), by_results)))

    def left(self):
        """Seconds until all is done, if each takes what it took last time."""
        rest = [(max(self.times.secs(job) - job.elapsed(), 5), job.cores)
                for job in self.running]
        rest += [(self.times.secs(job), job.cores) for job in self.waiting]
        longest = max((self.way(job) for job in self.waiting), default=0)
        return max(sum(secs * cores for secs, cores in rest) / self.cores,
                   longest, max((secs for secs, _ in rest), default=0))

    def say(self):
        now = time.monotonic()
        is_terminal = sys.stdout.isatty()
        if now - self.said < (2 if is_terminal else 10) or not self.running:
            return
        self.said = now
        what = ", ".join(f"{job.name} {self.far(job)} %" for job in self.running)
        line = (f"... {clock(now - self.began)}, {len(self.over)} of "
                f"{self.total} done, about {clock(self.left())} left: {what}")
        if is_terminal:
            width = os.get_terminal_size().columns - 1
            print(f"\r\033[K{line[:width]}", end="", flush=True)
        else:
            print(line, flush=True)

    def clear(self):
        if sys.stdout.isatty():
            print("\r\033[K", end="")


def clock(secs):
    return f"{int(secs) // 60}:{int(secs) % 60:02d}"
