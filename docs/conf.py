"""Sphinx configuration. Build with `-W`, so that a warning is an error."""

import os
import re
import shutil
import sys
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinxcontrib import katex

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))  # of the extension `slides`

import nnreg

# The code of the pages imports `style`.
paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))

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
    "slides",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(numpy|scipy|matplotlib|collections|typing|pathlib|random)(\..*)?")
]

# API pages: docstrings in the order of the source. Types and shapes are in the numpydoc sections,
# not in the signatures.
add_module_names = False
default_role = "literal"  # `name` in a docstring is code
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False
numpydoc_validation_checks = {"GL05", "GL06", "GL07", "PR02"}

# Pages with code cells are executed at every build; an exception in a cell ends the build.
nb_render_markdown_format = "myst"
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]

# With node, formulas are rendered during the build. Style sheet and fonts are included, so the
# pages load nothing from other sites.
katex_prerender = shutil.which("node") is not None
katex_css_path = "katex/katex.min.css"
# A Unix socket's file exists a moment before the server listens, and a refused connection ends the
# build. With a network socket the extension tries again.
katex.KaTeXServer.start_server_process = katex.KaTeXServer.start_network_socket
katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60.0

html_theme = "furo"
html_title = f"nnreg {version}"
html_static_path = ["_static"]
html_css_files = ["sheet.css"]
html_favicon = "_static/icon.svg"
html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"


def find_public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element
) -> nodes.Element | None:
    """Resolve `nn.Dense` to `nnreg.layers.dense.Dense`, and short names that are unique."""
    package, _, name = node["reftarget"].partition(".")
    thing = vars(nnreg).get(name.partition(".")[0])
    py = env.domains.python_domain
    if package in ("nnreg", "nn") and hasattr(thing, "__module__"):
        target = f"{thing.__module__}.{name}"
    else:  # a short name that only one module documents
        found = [full for full in py.objects if full.endswith(f".{node['reftarget']}")]
        if len(found) != 1:
            return None
        target = found[0]
    return py.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], target, node, text)


def skip_fields(app: Sphinx, kind: str, name: str, member: object, *_: object) -> bool | None:
    """Leave out the fields of named tuples, which the docstring of the class describes."""
    return True if (getattr(member, "__doc__", "") or "").startswith("Alias for field") else None


def add_narrow_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Insert after a picture its drawing for narrow screens; the style sheet shows one of them."""
    for image in list(doctree.findall(nodes.image)):
        file = Path(app.env.relfn2path(image["uri"])[1])
        narrow = file.with_stem(f"{file.stem}_narrow")
        if file.suffix == ".svg":  # of a code cell, with the other drawing in its metadata
            found = re.search(
                r"<metadata><!\[CDATA\[(.*)\]\]></metadata>", file.read_text(), re.DOTALL
            )
            if found:
                narrow.write_text(found[1])
        if narrow.exists():
            other = image.deepcopy()
            other["uri"] = image["uri"].replace(file.name, narrow.name)
            other["classes"].append("narrow")
            image["classes"].append("wide")
            image.parent.insert(image.parent.index(image) + 1, other)


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", add_narrow_figures, priority=400)  # before images are collected
    app.connect("missing-reference", find_public_name)
    app.connect("autodoc-skip-member", skip_fields)
