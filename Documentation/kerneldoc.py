# SPDX-License-Identifier: GPL-2.0-only
"""``.. kernel-doc:: FILE``: what the kernel's script finds in a source of ours."""
import glob
import os
import subprocess

import sphinx
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.errors import ConfigError
from sphinx.util.docutils import SphinxDirective

PLACES = ("/usr/lib/linux-kbuild-*/scripts/kernel-doc",
          "/usr/src/linux-headers-*/scripts/kernel-doc")


def script():
    """Newer kernels have one in Python, which Debian's packages lack."""
    given = os.environ.get("KERNEL_DOC")
    found = [given] if given else sorted(
        path for place in PLACES for path in glob.glob(place))
    for path in reversed(found):
        with open(path, encoding="utf-8") as file:
            if "perl" in file.readline():
                return path
    raise ConfigError("no kernel-doc in Perl: apt-get install linux-kbuild-6.1, or set "
                      "KERNEL_DOC")


class KernelDoc(SphinxDirective):
    """All comments of a file."""
    required_arguments = 1

    def run(self):
        path = os.path.join(os.environ["VHX_TOP"], self.arguments[0])
        self.env.note_dependency(path)
        done = subprocess.run(
            ["perl", script(), "-rst", "-sphinx-version", sphinx.__version__, path],
            text=True, capture_output=True, check=False)
        if done.returncode or done.stderr:
            raise self.error(f"kernel-doc: {done.stderr}")
        node = nodes.container()
        self.state.nested_parse(
            StringList(done.stdout.splitlines(), self.arguments[0]), 0, node)
        return node.children


def setup(app):
    script()
    app.add_directive("kernel-doc", KernelDoc)
    return {"parallel_read_safe": True}
