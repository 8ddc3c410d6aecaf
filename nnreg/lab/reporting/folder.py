"""The folder that a report is left in: numbers, a page, and, with matplotlib, pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnreg import plots
from nnreg._support.files import write_whole
from nnreg.lab.comparison.experiment import Comparison
from nnreg.lab.comparison.page import page
from nnreg.lab.comparison.pictures import PICTURES
from nnreg.lab.comparison.report import as_dict

if TYPE_CHECKING:
    from matplotlib.figure import Figure


LAYOUTS = {
    "light_wide": (plots.LIGHT, 3),
    "light_narrow": (plots.LIGHT, 1),
    "dark_wide": (plots.DARK, 3),
    "dark_narrow": (plots.DARK, 1),
}
FILES = ("report.json", "report.html", "curves.png", "weights.png")


@contextmanager
def reserved(out: Path, *, force: bool = False, unfinished: str | None = None) -> Iterator[Path]:
    """Make the folder to write into, before anything is computed; remove it if it stays empty.

    Parameters
    ----------
    out : Path
        What was asked for. Where it exists already, a number is added: ``out-2``, ``out-3``.
    force : bool, default False
        Take ``out`` itself, and let its files be replaced.
    unfinished : str, optional
        What is in a folder whose work was interrupted; such a folder is taken, to go on with it.

    Yields
    ------
    Path

    Raises
    ------
    OSError
        If there can be no such folder.

    Examples
    --------
    >>> import tempfile
    >>> wanted = Path(tempfile.mkdtemp())
    >>> with reserved(wanted) as folder:
    ...     folder.name == f"{wanted.name}-2"
    True
    """
    folder, number = out, 1
    while True:
        try:
            again = unfinished is not None and (folder / unfinished).is_dir()
            folder.mkdir(parents=True, exist_ok=force or again)
            break
        except FileExistsError:
            if force:
                raise
            number += 1
            folder = out.with_name(f"{out.name}-{number}")
    try:
        yield folder
    finally:
        with suppress(OSError):  # there are files in it
            folder.rmdir()


def write(comparison: Comparison, folder: Path) -> list[str]:
    """Write everything, each file whole, and return the names of the files.

    Without matplotlib there are no pictures; those of an earlier comparison are removed, since they
    do not show this one.

    Parameters
    ----------
    comparison : Comparison
    folder : Path
        Existing. Files of the same names in it are replaced.
    """
    contents: dict[str, bytes] = {}
    pictures: dict[str, dict[str, bytes]] = {}
    with suppress(plots.MissingMatplotlibError):
        for name, draw in PICTURES.items():
            contents[f"{name}.png"], pictures[name] = drawn(partial(draw, comparison))
    contents["report.json"] = as_json(as_dict(comparison))
    contents["report.html"] = page(comparison, pictures).encode()
    return write_files(folder, FILES, contents)


def drawn(draw: Callable[..., Figure]) -> tuple[bytes, dict[str, bytes]]:
    """Return a picture as PNG, and as SVG in each of the layouts of a page.

    Parameters
    ----------
    draw : function (*, theme, columns) -> Figure
        Both have defaults.

    Raises
    ------
    ImportError
        Without matplotlib.
    """
    return plots.render(draw(), "png"), {
        layout: plots.render(draw(theme=theme, columns=columns), "svg")
        for layout, (theme, columns) in LAYOUTS.items()
    }


def as_json(numbers: dict[str, Any]) -> bytes:
    r"""Return the content of a file of numbers.

    >>> as_json({"a": 1})
    b'{\n "a": 1\n}\n'
    """
    return f"{json.dumps(numbers, indent=1, allow_nan=False, ensure_ascii=False)}\n".encode()


def write_files(folder: Path, names: Sequence[str], contents: Mapping[str, bytes]) -> list[str]:
    """Write the files of a report, remove what an earlier one left, and return what was written.

    Parameters
    ----------
    folder : Path
        Existing.
    names : sequence of str
        All the files that there may be, in order.
    contents : mapping of str to bytes
        Those that there are.
    """
    for name in names:
        if name in contents:
            write_whole(folder / name, contents[name], overwrite=True)
        else:
            (folder / name).unlink(missing_ok=True)
    return [name for name in names if name in contents]
