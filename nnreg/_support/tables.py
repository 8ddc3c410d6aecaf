"""Tables as plain text, and tables and small curves as HTML for notebooks and reports.

The HTML needs no script and no style sheet. Colours are those of the page, which may be light or
dark; only rows marked as wrong have a fixed colour, a red that is readable on both.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Container, Iterable, Sequence
from html import escape
from itertools import groupby

WRONG = "#db4545"

WIDTH, HEIGHT = 240.0, 48.0


def printable(text: str, longest: int | None = 200) -> str:
    r"""Return text from a file as it may be shown: control characters escaped, and cut if longer.

    >>> printable("a\x1b[2J"), printable("abcdef", longest=3)
    ('a\\x1b[2J', 'abc ...')
    """
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:longest])
    return shown if longest is None or len(text) <= longest else f"{shown} ..."


def listed(texts: Sequence[object], most: int = 20) -> str:
    """Return the first texts from a file in a row.

    >>> listed(["a", "b", "c"], most=2)
    'a, b, ...'
    """
    return ", ".join(
        [printable(str(text), 60) for text in texts[:most]] + ["..."] * (len(texts) > most)
    )


def wrap(line: str, width: int, indent: int = 0) -> str:
    """Return text wrapped at a width, with later lines indented; long words are not broken.

    >>> print(wrap("data  some words", 11, 6))
    data  some
          words
    """
    return textwrap.fill(
        line,
        width,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def text_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()
) -> str:
    """Return rows of text as a table; the columns with indices in ``right`` are right-aligned.

    >>> print(text_table(["name", "n"], [["a", "10"], ["bc", "9"]], right=[1]))
    name   n
    ----  --
    a     10
    bc     9
    """
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


class Markup(str):
    """HTML in a cell of a table, which is not escaped again.

    >>> html_table(["name"], [[Markup("<b>a</b>")]])
    '<div ...<td style="text-align:left"><b>a</b></td></tr></tbody></table></div>'
    """


def html_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Container[int] = (),
    wrong: Container[int] = (),
    row_heads: bool = False,
    caption: str = "",
) -> str:
    """Return rows of text as an HTML table, every cell escaped unless it is `Markup`.

    Parameters
    ----------
    head : sequence of str
    rows : iterable of sequence of str
    right : container of int, default ()
        Indices of the right-aligned columns.
    wrong : container of int, default ()
        Indices of the rows that are marked as errors.
    row_heads : bool, default False
        If True, the first cell of each row is its heading.
    caption : str, optional

    Examples
    --------
    >>> html_table(["name"], [["<b>"]])
    '<div ...<td style="text-align:left">&lt;b&gt;</td></tr></tbody></table></div>'
    """

    def cell(tag: str, column: int, text: str) -> str:
        side = "right" if column in right else "left"
        content = text if isinstance(text, Markup) else escape(text).replace(" ±", "&nbsp;±")
        return f'<{tag} style="text-align:{side}">{content}</{tag.split()[0]}>'

    first = 'th scope="row"' if row_heads else "td"
    top = "".join(cell('th scope="col"', i, text) for i, text in enumerate(head))
    body = "".join(
        (
            f'<tr style="outline:2px solid {WRONG};outline-offset:-2px;font-weight:bold">'
            if i in wrong
            else "<tr>"
        )
        + "".join(cell("td" if j else first, j, text) for j, text in enumerate(row))
        + "</tr>"
        for i, row in enumerate(rows)
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        '<div style="overflow-x:auto" tabindex="0">'
        f'<table class="docutils" style="border-spacing:1em .2em">{title}'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def paragraphs(lines: Iterable[str]) -> str:
    """Return each line as a paragraph.

    >>> paragraphs(["a < b"])
    '<p>a &lt; b</p>'
    """
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def sparkline(curves: Sequence[Sequence[float]], label: str) -> str:
    """Return one or two curves over the same epochs as a small picture; the second is dashed.

    Parameters
    ----------
    curves : sequence of one or two sequences of float
        A non-finite value is a gap.
    label : str
        A description of the picture, for screen readers.

    Examples
    --------
    >>> sparkline([[2.0, 1.0]], "loss")
    '<svg ...<polyline points="2.0,2.0 238.0,46.0" stroke-dasharray="none"/></svg>'
    """
    finite = [value for curve in curves for value in curve if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    last = max((len(curve) for curve in curves), default=1) - 1

    def point(epoch: int, value: float) -> str:
        across = epoch / last if last else 0.5
        down = (high - value) / (high - low) if high > low else 0.5
        return f"{2 + across * (WIDTH - 4):.1f},{2 + down * (HEIGHT - 4):.1f}"

    lines = []
    for curve, dashes in zip(curves, ("none", "4 3"), strict=False):
        for is_finite, run in groupby(enumerate(curve), lambda pair: math.isfinite(pair[1])):
            if is_finite:
                points = " ".join(point(epoch, value) for epoch, value in run)
                lines.append(f'<polyline points="{points}" stroke-dasharray="{dashes}"/>')
    return (
        f'<svg role="img" aria-label="{escape(label)}" width="{WIDTH:g}" height="{HEIGHT:g}" '
        f'viewBox="0 0 {WIDTH:g} {HEIGHT:g}" fill="none" stroke="currentColor" stroke-width="1.5" '
        f'stroke-linecap="round">{"".join(lines)}</svg>'
    )
