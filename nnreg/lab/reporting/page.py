"""Parts of the pages of reports: style, definitions, and pictures in four layouts.

Each picture is drawn for a light and a dark screen, a wide and a narrow one; the browser takes the
one that fits.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from html import escape
from string import Template

from nnreg._support import page, tables
from nnreg._support.tables import Markup

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


def render_report(title: str, body: str, footer: str = "All numbers are in report.json.") -> str:
    """Return the page of a report.

    >>> "<h1>Result</h1>" in render_report("Title", "<h1>Result</h1>")
    True
    """
    return page.render_page(title, f"<main>\n{body}\n</main>", style=STYLE, footer=footer)


def render_definitions(parts: Mapping[str, str]) -> str:
    r"""Return terms and their definitions, escaped.

    >>> render_definitions({"gap": "test - train"})
    '<dl>\n<dt>gap</dt><dd>test - train</dd>\n</dl>'
    """
    lines = (f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in parts.items())
    return "\n".join(("<dl>", *lines, "</dl>"))


def render_table(head: list[str], rows: list[list[str]], *, words: int = 1, note: str = "") -> str:
    """Return a table whose first columns are words, the others numbers, with a note above.

    >>> "<p class=soft>a note</p>" in render_table(["L1"], [["0.1"]], note="a note")
    True
    """
    heads = [name.replace(" %", "\N{NO-BREAK SPACE}%") for name in head]
    table = tables.html_table(heads, rows, right=range(words, len(head)), row_heads=True)
    return f"<p class=soft>{escape(note)}</p>\n{table}" if note else table


def mark_verdict(verdict: str) -> Markup:
    """Return a verdict in its colour.

    >>> mark_verdict("right fit")
    '<span class="fit right">right fit</span>'
    """
    return Markup(f'<span class="fit {verdict.split()[0]}">{verdict}</span>')


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
