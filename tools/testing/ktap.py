# SPDX-License-Identifier: GPL-2.0-only
"""KTAP as the stages write it: counting results, and naming them."""
import re

RESULT = re.compile(r"( *)(not ok|ok)\b(.*)")
# what a stage's results are called in front of what a program calls them
NUMBERED = re.compile(r"^( *(?:not ok|ok) \d+ )")


class Counts:
    """Results of leaves: nested ones, and flat ones that nest nothing. A
    program that died counts by its own line."""

    def __init__(self):
        self.ok = self.bad = self.skipped = 0
        self.reasons = []               # of skips, one each
        self.faults = []                # lines of what failed
        self.is_nested = self.is_inner_bad = False

    def __iadd__(self, other):
        self.ok += other.ok
        self.bad += other.bad
        self.skipped += other.skipped
        self.reasons += other.reasons
        return self

    @property
    def all(self):
        return self.ok + self.bad + self.skipped

    def add(self, line):
        """One line of a stream."""
        found = RESULT.match(line)
        if not found:
            return
        indent, verdict, rest = found.groups()
        if verdict == "not ok":
            self.faults.append(line.strip())
            if indent or not self.is_inner_bad:
                self.bad += 1
        elif "# SKIP" in rest:
            self.skipped += 1
            self.reasons.append(rest.split("# SKIP", 1)[1].strip())
        elif indent or not self.is_nested:
            self.ok += 1
        # a flat result closes what was nested above it; a flat skip is alone
        if indent:
            self.is_nested = True
            self.is_inner_bad |= verdict == "not ok"
        elif "# SKIP" not in rest:
            self.is_nested = self.is_inner_bad = False


def count(path):
    """Counts of a stream so far; of none where there is no such file."""
    counts = Counts()
    try:
        with open(path, errors="replace") as lines:
            for line in lines:
                counts.add(line.rstrip("\n"))
    except FileNotFoundError:
        pass
    return counts


def prefixed(line, prefix):
    """A line whose result, if it is one, is named with a prefix."""
    return NUMBERED.sub(lambda found: found.group(1) + prefix, line)
