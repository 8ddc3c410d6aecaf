"""Pages: what all reports share as HTML. One file each, without a script.

Pictures are inside the page, each drawn four times: for a light and a dark screen, for a wide and a
narrow one. The browser takes the one that fits.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template

from nnreg._support.version import __version__

NARROW = "(max-width: 700px)"
DARK = "(prefers-color-scheme: dark)"

PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --back: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #d8dde3; --band: #f5f7f9;
  --over: #b34700; --right: #00694d; --under: #6b4fa0; }
@media $dark { :root { --back: #15181c; --ink: #e6e9ec; --soft: #9aa4ae; --line: #3a4149;
  --band: #1c2025; --over: #ffa45c; --right: #4fd0a5; --under: #c3aef0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 75rem; padding: 2rem 1.25rem 4rem; background: var(--back);
  color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .75rem; }
p, dl, .facts { max-width: 46rem; }
.lead { font-size: 1.15rem; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
dt { font-weight: 600; margin-top: .6rem; }
dd { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .55rem; text-align: right; white-space: nowrap; vertical-align: top;
  border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--ink); white-space: normal;
  line-height: 1.25; }
th:first-child, td.text, th.text { text-align: left; }
th:first-child { position: sticky; left: 0; background: var(--back); }
tbody tr:nth-child(odd) > * { background: var(--band); }
abbr { text-decoration: none; margin-right: -.55em; }
.sd { display: block; color: var(--soft); font-size: .82em; font-style: normal; }
tr.none > * { font-style: italic; }
.fit { font-weight: 600; }
.overfit { color: var(--over); } .right { color: var(--right); } .underfit { color: var(--under); }
figure { margin: 1rem 0 0; }
img { display: block; width: 100%; height: auto; }
summary { cursor: pointer; font-weight: 600; }
details { margin-top: 1rem; }
</style>
</head>
<body>
<main>
$body
</main>
<footer><p class="soft">Made by nnreg $version. $more</p></footer>
</body>
</html>
""")

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


def document(title: str, body: str, more: str) -> str:
    """Return a whole page.

    Parameters
    ----------
    title : str
        For the window; it is escaped.
    body : str
        HTML.
    more : str
        What the footer says behind the version.

    Examples
    --------
    >>> "<title>a &lt; b</title>" in document("a < b", "<h1>Found</h1>", "")
    True
    """
    return PAGE.substitute(
        title=escape(title), body=body, more=more, dark=DARK, version=__version__
    )


def definitions(parts: Mapping[str, str]) -> str:
    """Return terms and what they mean, escaped, for a ``<dl>``.

    >>> definitions({"gap": "test - train"})
    '<dt>gap</dt><dd>test - train</dd>'
    """
    return "\n".join(
        f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in parts.items()
    )


def html_table(
    head: Sequence[str],
    rows: Iterable[tuple[str, Sequence[str]]],
    caption: str,
    *,
    words: Sequence[str] = (),
) -> str:
    """Return a table.

    Parameters
    ----------
    head : sequence of str
        The columns' names.
    rows : iterable of (name, cells)
        Cells are HTML, ``<td>`` included. The row named ``"none"`` is set in italics.
    caption : str
        A line above, or nothing.
    words : sequence of str, default ()
        Columns that hold words, which begin at the left.

    Examples
    --------
    >>> "<th scope=row" in html_table(["strength"], [("0.1", [])], "").replace('"', "")
    True
    """
    heads = "".join(
        f'<th scope="col"{" class=text" if name in words else ""}>'
        f"{escape(name).replace(' %', '&nbsp;%')}</th>"
        for name in head
    )
    body = "\n".join(
        f'<tr class="{"none" if name == "none" else "other"}"><th scope="row">{name}</th>'
        f"{''.join(cells)}</tr>"
        for name, cells in rows
    )
    title = f'<p class="soft">{escape(caption)}</p>\n' if caption else ""
    return (
        f'{title}<div class="scroll" tabindex="0"><table>\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def html_figure(files: Mapping[str, bytes], *, title: str, alt: str, caption: str) -> str:
    """Return a picture with its heading.

    Parameters
    ----------
    files : mapping of str to bytes
        SVG: ``light_wide``, ``light_narrow``, ``dark_wide`` and ``dark_narrow``.
    title, alt, caption : str

    Examples
    --------
    >>> layouts = ("light_wide", "light_narrow", "dark_wide", "dark_narrow")
    >>> found = html_figure(dict.fromkeys(layouts, b""), title="Path", alt="", caption="")
    >>> found.splitlines()[0]
    '<h2>Path</h2>'
    """
    sources = {
        key: f"data:image/svg+xml;base64,{b64encode(content).decode()}"
        for key, content in files.items()
    }
    return FIGURE.substitute(
        sources, title=title, alt=alt, caption=caption, dark=DARK, narrow=NARROW
    )
