"""The documentation as a site, by Sphinx: `make docs`. Why Sphinx: docs/adr/0028-a-site-of-the-pages-as-they-are.md.

The source is the repository itself, so that its pages are the same on the site as in a checkout, with the same links.
"""

import tomllib
from pathlib import Path

project = "Crewcall"
author = "The Crewcall authors"
with (Path(__file__).parents[1] / "pyproject.toml").open("rb") as _file:
    release = tomllib.load(_file)["project"]["version"]
extensions = ["myst_parser"]

root_doc = "docs/index"
include_patterns = ["*.md", "docs/**", "charts/crewcall/README.md"]
# GitHub's names of headings, which the pages link to.
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"Crewcall {release}"
