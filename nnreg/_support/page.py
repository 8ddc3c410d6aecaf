"""The base page of reports and traces: one HTML file, for light and dark screens.

A page loads no other files: style, script and pictures are part of it.
"""

from __future__ import annotations

from html import escape
from string import Template

from nnreg._support.version import __version__

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
:root { --back: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #d8dde3; --band: #f5f7f9; }
@media $dark { :root { --back: #15181c; --ink: #e6e9ec; --soft: #9aa4ae; --line: #3a4149;
  --band: #1c2025; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 75rem; padding: 2rem 1.25rem 4rem; background: var(--back);
  color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.75rem 0 .75rem; }
p, dl { max-width: 46rem; }
.soft { color: var(--soft); font-size: .9rem; }
summary { cursor: pointer; font-weight: 600; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { white-space: nowrap; border-bottom: 1px solid var(--line); }
$style
</style>
</head>
<body>
$body
<footer><p class="soft">$footer Made by nnreg $version.</p></footer>
$script
</body>
</html>
""")


def render_page(
    title: str, body: str, *, style: str = "", script: str = "", footer: str = ""
) -> str:
    """Return a complete page.

    Parameters
    ----------
    title : str
        Title of the window; it is escaped.
    body : str
        HTML.
    style : str, optional
        CSS in addition to that of all pages. The colours are ``var(--back)``, ``--ink``,
        ``--soft``, ``--line`` and ``--band``.
    script : str, optional
        JavaScript, run after the body is loaded.
    footer : str, optional
        HTML before the version.

    Examples
    --------
    >>> "<title>a &lt; b</title>" in render_page("a < b", "<h1>Result</h1>")
    True
    """
    return PAGE.substitute(
        title=escape(title),
        body=body,
        style=style,
        script=f"<script>\n{script}</script>" if script else "",
        footer=footer,
        dark=DARK,
        version=__version__,
    )
