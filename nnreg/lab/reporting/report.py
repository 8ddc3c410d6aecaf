"""Report: one description of an experiment's results, written as text, as a page and as JSON."""

from __future__ import annotations

import platform
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from nnreg import plots
from nnreg._support import tables
from nnreg._support.files import write_whole
from nnreg._support.page import DARK, render_page
from nnreg._support.tables import Markup
from nnreg._support.typing import Array
from nnreg._support.version import __version__
from nnreg.datasets import Dataset
from nnreg.lab.preprocessing import MAX_DEVIATION, PreparedRows
from nnreg.lab.reporting.folder import PAGE, REPORT, report_files, seal, written_files
from nnreg.lab.reporting.results import read_file
from nnreg.lab.settings import FitSettings, TrainingSettings
from nnreg.lab.verdicts import VERDICTS
from nnreg.plots.frame import Figure

WIDTH = 80
ACCURACY = "The share of {} rows whose most probable class is the labelled one."
LOSS = "The mean cross-entropy of the {} rows, without the penalty, in inference mode: dropout off."

WHOLE, LARGE = 1e3, 1e6  # from these on, numbers are whole, and then have an exponent

LAYOUTS = {
    "light_wide": (plots.LIGHT, 3),
    "light_narrow": (plots.LIGHT, 1),
    "dark_wide": (plots.DARK, 3),
    "dark_narrow": (plots.DARK, 1),
}

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
.overfit, .mixed, .diverged { color: var(--over); } .right { color: var(--right); }
.underfit { color: var(--under); }
figure { margin: 1rem 0 0; }
img { display: block; width: 100%; height: auto; }
details { margin-top: 1rem; }
@media (max-width: 700px) {
  body { padding: 1rem .75rem 3rem; }
  table { font-size: .74rem; }
  th, td { padding: .4rem .22rem; }
  abbr { margin-right: -.35em; }
  tbody th, .fit, .words { white-space: normal; }
}
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


@dataclass(frozen=True)
class Column:
    """A measured figure, as a column of a table.

    Parameters
    ----------
    key : str
        Name of the figure.
    head : str
        Name of the column.
    text : str
        Its definition, in a sentence.
    digits : int, default 3
        After the point.
    percent : bool, default False
        Show a share as a percentage.

    Examples
    --------
    >>> Column("gap", "gap", "", digits=2).format([0.5, 0.6])
    '0.55 ± 0.07'
    >>> Column("zeros", "zeros", "", digits=1, percent=True).format([0.25])
    '25.0'
    >>> Column("loss", "loss", "").format([12345.678]), Column("loss", "loss", "").format([1e30])
    ('12,346', '1e+30')
    """

    key: str
    head: str
    text: str
    digits: int = 3
    percent: bool = False

    def format(self, repeats: Sequence[float] | Array) -> str:
        """Return mean and standard deviation as text; one repeat has no deviation."""
        values = np.array(repeats) * (100 if self.percent else 1)
        shown = [values.mean(), values.std(ddof=1)] if len(values) > 1 else values
        return " ± ".join(format_number(value, self.digits) for value in shown)


def format_number(value: float, digits: int) -> str:
    """Return a number with some digits after the point, a large one as a power of ten.

    >>> [format_number(value, 3) for value in (0.5, 2345.6, 1.234e9)]
    ['0.500', '2,346', '1.23e+09']
    """
    if not abs(value) < LARGE:
        return f"{value:.3g}"
    return f"{value:.{digits}f}" if abs(value) < WHOLE else f"{value:,.0f}"


@dataclass(frozen=True)
class Table:
    """A table whose first columns are text, the others numbers.

    Parameters
    ----------
    words : sequence of str
        Heads of the text columns.
    heads : sequence of str
        Heads of the other columns.
    rows : sequence of sequences of str

    Examples
    --------
    >>> table = Table(["L1", "seed"], ["gap", "loss"], [["0.1", "0", "0.5 ± 0.1", "2"]])
    >>> print(table)
    L1   seed        gap  loss
    ---  ----  ---------  ----
    0.1  0     0.5 ± 0.1     2
    >>> print(table.to_text(width=20))
    L1   seed        gap
    ---  ----  ---------
    0.1  0     0.5 ± 0.1
    <BLANKLINE>
    L1   loss
    ---  ----
    0.1     2
    """

    words: Sequence[str]
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def to_text(self, width: int = WIDTH) -> str:
        """Return the table as text; columns that are too many for the width are put below."""
        lines = [[*self.words, *self.heads], *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        parts, columns = [], [*range(len(self.words))]
        for column in range(len(self.words), len(widths)):
            if sum(widths[i] + 2 for i in (*columns, column)) - 2 > width and len(columns) > 1:
                parts.append(columns)
                columns = [0]
            columns.append(column)
        return "\n\n".join(
            tables.text_table(
                [lines[0][i] for i in part],
                [[line[i] for i in part] for line in lines[1:]],
                right=[k for k, i in enumerate(part) if i >= len(self.words)],
            )
            for part in (*parts, columns)
        )

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        heads = [*self.words, *self.heads]
        return tables.html_table(
            [head.replace(" %", "\N{NO-BREAK SPACE}%") for head in heads],
            [[mark_cell(cell) for cell in row] for row in self.rows],
            right=range(len(self.words), len(heads)),
            row_heads=True,
        )


@dataclass(frozen=True)
class Report:
    """The results of an experiment, as text, as a page and as JSON.

    Parameters
    ----------
    title, headline : str
        The name of the experiment, and its result in a sentence or two.
    facts : mapping of str to str
        Descriptions of the experiment, by name.
    tables : mapping of str to Table
        The results in a few columns, by heading.
    notes : sequence of str
        Explanations of the numbers in the tables.
    rules : mapping of str to str
        Definitions, which are shown on the page only.
    details : mapping of str to Table
        All other results, by heading: on the page, and in the text if it is asked for.
    numbers : mapping of str to values
        The content of ``report.json``, without versions, platform and time.
    pictures : mapping of str to mapping of str to str
        By the name of the PNG file, without its ending: ``title``, ``alt`` and ``caption``.
    draw : mapping of str to function (*, theme, columns) -> Figure
        By the name of the picture; those that cannot be drawn are left out.
    """

    title: str
    headline: str
    facts: Mapping[str, str]
    tables: Mapping[str, Table]
    notes: Sequence[str]
    rules: Mapping[str, str]
    details: Mapping[str, Table]
    numbers: Mapping[str, Any]
    pictures: Mapping[str, Mapping[str, str]]
    draw: Mapping[str, Callable[..., Figure]]

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, width: int = WIDTH, *, details: bool = False) -> str:
        """Return the report as text: prose of at most 80 columns, tables of the given width."""
        prose, indent = min(width, WIDTH), max(map(len, self.facts)) + 2
        facts = [f"{name:{indent}}{fact}" for name, fact in self.facts.items()]
        parts = ["\n".join(tables.wrap(fact, prose, indent) for fact in facts)]
        parts += [table.to_text(width) for table in self.tables.values()]
        parts.append("\n".join(tables.wrap(note, prose, 2) for note in self.notes))
        if details:
            shown = {head: table for head, table in self.details.items() if table.rows}
            parts += [f"{head}\n\n{table.to_text(width)}" for head, table in shown.items()]
        return "\n\n".join((*parts, tables.wrap(self.headline, prose)))

    def _repr_html_(self) -> str:
        parts = [table._repr_html_() for table in self.tables.values()]
        return "".join([tables.paragraphs([self.headline]), *parts, tables.paragraphs(self.notes)])

    def make_page(self, pictures: Mapping[str, Mapping[str, bytes]]) -> str:
        """Return ``report.html``.

        Parameters
        ----------
        pictures : mapping of str to mapping of str to bytes
            By name, the SVG files of a picture by layout. Without matplotlib there are none.
        """
        body = [
            f'<main>\n<h1>{escape(self.title)}</h1>\n<p class="lead">{escape(self.headline)}</p>',
            render_definitions(self.facts),
            *(f"<h2>{head}</h2>\n{table._repr_html_()}" for head, table in self.tables.items()),
            *(render_figure(files, **self.pictures[name]) for name, files in pictures.items()),
            "<h2>How to read the tables</h2>",
            tables.paragraphs(self.notes),
            render_definitions(self.rules),
            *(
                f"<details><summary>{head}</summary>\n{table._repr_html_()}\n</details>"
                for head, table in self.details.items()
                if table.rows
            ),
            "</main>",
        ]
        content = "\n".join(body).replace(" %", "\N{NO-BREAK SPACE}%")
        footer = "All numbers are in report.json."
        return render_page(self.title, content, style=STYLE, footer=footer)

    def write(self, folder: Path, files: Mapping[str, bytes] | None = None) -> list[str]:
        """Write the files and return their names.

        Without matplotlib there are no pictures. Other files of an earlier report are removed,
        because they show earlier results.

        Parameters
        ----------
        folder : Path
            Existing. Files of an earlier report are replaced.
        files : mapping of str to bytes, optional
            By name, the content of other files that belong to the report.

        Raises
        ------
        FileExistsError
            If a file of that name exists that nnreg did not write.
        """
        contents = dict(files or {})
        pictures: dict[str, dict[str, bytes]] = {}
        with suppress(plots.MissingMatplotlibError):
            for name, draw in self.draw.items():
                contents[f"{name}.png"] = plots.render(draw(), "png")
                pictures[name] = {
                    layout: plots.render(draw(theme=theme, columns=columns), "svg")
                    for layout, (theme, columns) in LAYOUTS.items()
                }
        contents[PAGE] = self.make_page(pictures).encode()
        for name in written_files(folder).keys() - {REPORT, *contents}:
            (folder / name).unlink()
        for name, content in contents.items():
            if read_file(folder / name) != content:
                write_whole(folder / name, content, overwrite=name in written_files(folder))
        self.write_numbers(folder, {n: sha256(c).hexdigest() for n, c in contents.items()})
        return [*(files or {}), *report_files(pictures)]

    def write_numbers(self, folder: Path, digests: Mapping[str, str] | None = None) -> None:
        """Write ``report.json``, with the digests of the other files or of those in the folder."""
        earlier = written_files(folder)
        files = earlier if digests is None else digests
        content = {
            "versions": {
                "nnreg": __version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
            "platform": platform.platform(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            **self.numbers,
            "files": {name: digest for name, digest in files.items() if name != REPORT},
        }
        write_whole(folder / REPORT, seal(content), overwrite=REPORT in earlier)


def render_definitions(parts: Mapping[str, str]) -> str:
    r"""Return terms and their definitions, escaped.

    >>> render_definitions({"gap": "test - train"})
    '<dl>\n<dt>gap</dt><dd>test - train</dd>\n</dl>'
    """
    lines = (f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in parts.items())
    return "\n".join(("<dl>", *lines, "</dl>"))


def mark_cell(cell: str) -> Markup:
    """Return a cell's text as HTML: verdicts with their color, deviations on a separate line.

    >>> mark_cell("right fit")
    '<span class="fit right">right fit</span>'
    >>> mark_cell("0.5 ± 0.1~")
    '0.5<abbr title="inside the noise">~</abbr> <span class="sd">± 0.1</span>'
    >>> mark_cell("4.8 % ± 1.4 lower with 50 epochs")
    '<span class="words">4.8 % ± 1.4 lower with 50 epochs</span>'
    """
    if cell in VERDICTS:
        return Markup(f'<span class="fit {cell.split()[0]}">{cell}</span>')
    mark = '<abbr title="inside the noise">~</abbr>' if cell.endswith("~") else ""
    value, plus, deviation = escape(cell.rstrip("~ ")).partition(" ± ")
    if " " in deviation:  # a sentence
        return Markup(f'<span class="words">{escape(cell)}</span>')
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
        sources, title=title, alt=alt, caption=caption, dark=DARK, narrow=NARROW
    )


def format_percent(share: float) -> str:
    """Return a share in percent.

    >>> format_percent(0.5)
    '50.0 %'
    """
    return f"{100 * share:.1f} %"


def describe_data(dataset: Dataset, rows: PreparedRows) -> str:
    """Return the source of the data and their numbers of rows, features and classes."""
    wrong = f", {rows.flipped:,} of them with a wrong label" if rows.flipped else ""
    test = "which come with the data" if rows.given_test else "split off first"
    return (
        f"{dataset.name} ({dataset.source}); {rows.x.shape[1]:,} features, {rows.classes} classes; "
        f"{len(rows.x):,} training rows{wrong}; {len(rows.x_test):,} test rows, {test}"
    )


def describe_network(settings: TrainingSettings, rows: PreparedRows, training: str) -> str:
    """Return the widths of the network, its training, its seeds and the range of the features."""
    widths = "-".join(map(str, (rows.x.shape[1], *settings.hidden, rows.classes)))
    seeds = ", ".join(str(settings.seed + repeat) for repeat in range(settings.repeats))
    return (
        f"{widths} {training}; seeds {seeds}; features standardized by the training rows and "
        f"clipped to {MAX_DEVIATION:g} deviations"
    )


def describe_training(settings: FitSettings) -> str:
    """Return the optimizer and the numbers of rows and epochs."""
    return (
        f"{settings.optimizer} with learning rate {settings.rate:g}, "
        f"batches of {settings.batch_size}, {settings.epochs} epoch{'s' * (settings.epochs != 1)}"
    )


def get_data_facts(dataset: Dataset, rows: PreparedRows) -> dict[str, Any]:
    """Return a description of the data for JSON."""
    return {
        "name": dataset.name,
        "source": dataset.source,
        "features": rows.x.shape[1],
        "class_names": list(dataset.class_names),
        "training_rows": len(rows.x),
        "wrong_labels": rows.flipped,
        "test_rows": len(rows.x_test),
        "test_part": "own" if rows.given_test else "split off",
    }
