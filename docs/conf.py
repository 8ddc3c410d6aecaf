"""Sphinx configuration: every page is built from the code, and a warning is an error (`-W`)."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import nnreg

project = "nnreg"
author = "nnreg developers"
project_copyright = "nnreg developers"
version = release = nnreg.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "sphinxcontrib.katex",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(numpy|scipy|matplotlib|collections|typing|pathlib)\..*")]

# The API: the docstrings, in the order in which the source explains itself. Types stand in the
# numpydoc sections, with their shapes; the signatures stay short.
add_module_names = False
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False
numpydoc_validation_checks = {"GL05", "GL06", "GL07", "PR02", "PR03", "PR04"}

# Pages with cells are run at every build; a cell that raises stops it.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]

# Formulas are set while building, where node is there, with a style sheet and fonts of our own: the
# pages load nothing from elsewhere.
katex_prerender = shutil.which("node") is not None
katex_css_path = "katex/katex.min.css"

html_theme = "furo"
html_title = f"nnreg {version}"
html_static_path = ["_static"]
html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"
