# SPDX-License-Identifier: GPL-2.0-only
"""How Sphinx makes HTML of the documentation: scripts/build-docs runs it."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

vhx_top = os.environ["VHX_TOP"]
with open(f"{vhx_top}/dkms.conf", encoding="utf-8") as file:
    release = version = re.search(r'^PACKAGE_VERSION="(.*)"$', file.read(), re.M)[1]

project = "vhx"
copyright = "the authors of vhx"
extensions = ["kerneldoc"]
exclude_patterns = ["Documentation/man", "tools"]
# literals in our pages are literals, whatever language
highlight_language = "none"
primary_domain = "c"
# what kernel-doc leaves in declarations, and C has not
c_id_attributes = ["__user", "__rcu", "__must_check", "__init", "__exit"]

html_theme = "alabaster"
html_theme_options = {"description": "vhost-net, out of tree", "page_width": "1100px",
                      "fixed_sidebar": True, "show_powered_by": False}
html_sidebars = {"**": ["about.html", "globaltoc.html", "searchbox.html"]}
html_copy_source = False


def link_pages(_app, _name, source):
    """Links that are right in the tree are right here."""
    source[0] = re.sub(r"(<[\w./-]+)\.rst>`_", r"\1.html>`_", source[0])


def setup(app):
    app.connect("source-read", link_pages)
