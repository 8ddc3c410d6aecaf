"""Parts of the pages of reports: style, definitions, and pictures in four layouts.

Each picture is drawn for a light and a dark screen, a wide and a narrow one; the browser takes the
one that fits.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from html import escape
from string import Template

from nnreg._support import page
from nnreg._support.tables import Markup
from nnreg.lab.verdicts import VERDICTS

STYLE = """\
:root { --over: #b34700; --right: #00694d; --under: #6b4fa0; }
@media (prefers-color-scheme: dark) { :root { --over: #ffa45c; --right: #4fd0a5;
  --under: #c3aef0; } }
.lead { font-size: 1.15rem; }
figcaption { color: var(--soft); font-size: .9rem; }
dt { font-weight: 600; margin-top: .6rem; }
dd { margin: 0; }
table { font-size: .88rem; }
th, td { padding: .4rem .55rem; vertical-align: top; }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--ink); white-space: normal;
  line-height: 1.25; }
th:first-child { position: sticky; left: 0; background: var(--back); }
tbody tr:nth-child(odd) > * { background: var(--band); }
abbr { text-decoration: none; margin-right: -.55em; }
.sd { display: block; color: var(--soft); font-size: .82em; }
.fit { font-weight: 600; }
.overfit, .diverged { color: var(--over); } .right { color: var(--right); }
.underfit { color: var(--under); }
figure { margin: 1rem 0 0; }
img { display: block; width: 100%; height: auto; }
details { margin-top: 1rem; }
"""

NARROW = "(max-width: 700px)"

FIGURE = Template("""\
<h2>$title</h2>
<figure>
<picture>
<source media="$dark and $narrow" srcset="$dark_narrow">
<source media="$narrow" srcset="$light_narrow">
<source media="$dark" srcset="$dark_wide">
<img src="$light_wide" alt="$alt">
</picture>
<figcaption>$caption</figcaption>
</figure>
""")


def render_report(title: str, headline: str, *parts: str) -> str:
    """Return the page of a report.

    Parameters
    ----------
    title, headline : str
        They are escaped.
    *parts : str
        HTML.

    Examples
    --------
    >>> "<h1>a &lt; b</h1>" in render_report("a < b", "")
    True
    """
    head = f'<h1>{escape(title)}</h1>\n<p class="lead">{escape(headline)}</p>'
    body = "\n".join(("<main>", head, *parts, "</main>"))
    return page.render_page(title, body, style=STYLE, footer="All numbers are in report.json.")


def render_definitions(parts: Mapping[str, str]) -> str:
    r"""Return terms and their definitions, escaped.

    >>> render_definitions({"gap": "test - train"})
    '<dl>\n<dt>gap</dt><dd>test - train</dd>\n</dl>'
    """
    lines = (f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in parts.items())
    return "\n".join(("<dl>", *lines, "</dl>"))


def mark_cell(cell: str) -> Markup:
    """Return a cell's text as HTML: verdicts in their colour, deviations in a line of their own.

    >>> mark_cell("right fit")
    '<span class="fit right">right fit</span>'
    >>> mark_cell("0.5 ± 0.1~")
    '0.5<abbr title="inside the noise">~</abbr> <span class="sd">± 0.1</span>'
    """
    if cell in VERDICTS:
        return Markup(f'<span class="fit {cell.split()[0]}">{cell}</span>')
    mark = '<abbr title="inside the noise">~</abbr>' if cell.endswith("~") else ""
    value, plus, deviation = escape(cell.rstrip("~ ")).partition(" ± ")
    return Markup(value + mark + (f' <span class="sd">± {deviation}</span>' if plus else ""))


def render_figure(files: Mapping[str, bytes], *, title: str, alt: str, caption: str) -> str:
    """Return a picture with its heading.

    Parameters
    ----------
    files : mapping of str to bytes
        SVG: ``light_wide``, ``light_narrow``, ``dark_wide`` and ``dark_narrow``.
    title, alt, caption : str

    Examples
    --------
    >>> layouts = ("light_wide", "light_narrow", "dark_wide", "dark_narrow")
    >>> figure = render_figure(dict.fromkeys(layouts, b""), title="Path", alt="", caption="")
    >>> figure.splitlines()[0]
    '<h2>Path</h2>'
    """
    sources = {
        layout: f"data:image/svg+xml;base64,{b64encode(content).decode()}"
        for layout, content in files.items()
    }
    return FIGURE.substitute(
        sources, title=title, alt=alt, caption=caption, dark=page.DARK, narrow=NARROW
    )
