"""The grades of a class: a row for each submission, and the commonest mistakes."""

from __future__ import annotations

import csv
import io
import os
import re
import textwrap
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median

from nnreg._support.files import check_path
from nnreg._support.tables import printable, text_table
from nnreg.course.grading.exercises import Exercise, exercise
from nnreg.course.grading.grader import SUFFIXES, Grade, grade

MOST = 10  # mistakes that are listed
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # the first characters of a formula
NUMBERS = re.compile(r"-?\d[\d.,e+-]*")


@dataclass(frozen=True)
class ClassGrades:
    """The grades of all submissions of a folder; `print` shows them as text.

    Attributes
    ----------
    exercise : Exercise
    grades : dict of str to Grade or str
        By submission: its grade, or why it could not be graded.
    others : tuple of str
        Files in the folder that are not submissions.
    """

    exercise: Exercise
    grades: dict[str, Grade | str]
    others: tuple[str, ...] = ()

    @property
    def graded(self) -> dict[str, Grade]:
        """The submissions that could be graded."""
        return {name: g for name, g in self.grades.items() if isinstance(g, Grade)}

    def mistakes(self) -> list[tuple[int, str, str]]:
        """Return the mistakes, the commonest first.

        Reasons of one check are the same mistake if they have the same hint, or without a hint, if
        they differ in numbers only. What costs several checks for one reason, such as a function
        that is missing, is one mistake.

        Returns
        -------
        list of (int, str, str)
            Number of submissions, title of the check or number of checks, and one of the reasons.
        """
        counts: Counter[tuple[tuple[str, ...], str]] = Counter()
        reasons: dict[tuple[tuple[str, ...], str], str] = {}
        for one in self.graded.values():
            checks: dict[str, tuple[str, ...]] = {}
            for name, reason in one.lost.items():
                text = reason.partition("Hint:")[2] or NUMBERS.sub("0", reason)
                checks[text] = (*checks.get(text, ()), name)
            for text, names in checks.items():
                counts[names, text] += 1
                reasons.setdefault((names, text), one.lost[names[0]])
        return [(n, self._describe(key[0]), reasons[key]) for key, n in counts.most_common()]

    def _describe(self, names: tuple[str, ...]) -> str:
        """Return the title of a check, or the number of several."""
        return self.exercise[names[0]].title if len(names) == 1 else f"{len(names)} checks"

    def csv(self) -> str:
        """Return a table for a spreadsheet: submission, score, points of each check, reason.

        Text that a spreadsheet would compute as a formula begins with an apostrophe.
        """
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")

        def write(cells: list[str]) -> None:
            writer.writerow(["'" + c if c.startswith(FORMULA) else c for c in cells])

        write(["submission", "score", *(check.name for check in self.exercise), "not graded"])
        for name, one in self.grades.items():
            if isinstance(one, Grade):
                write([name, f"{one.score:g}", *(f"{r.score:g}" for r in one.results), ""])
            else:
                write([name, *[""] * (1 + len(self.exercise.checks)), one])
        return file.getvalue()

    def __str__(self) -> str:
        rows = []
        width = max((len(printable(name, 30)) for name in self.grades), default=0)
        for name, one in self.grades.items():
            score, text = "-", one
            if isinstance(one, Grade):
                score, text = f"{one.score:g}", ", ".join(one.lost)
            text = textwrap.shorten(str(text), max(20, 69 - width), placeholder=" ...")
            rows.append([printable(name, 30), score, text])
        parts = [self.exercise.title, text_table(["submission", "score", "lost"], rows, right=[1])]
        scores = [one.score for one in self.graded.values()]
        if scores:
            parts.append(
                f"{len(scores)} of {len(rows)} graded, of {self.exercise.points:g} points: "
                f"mean {mean(scores):.1f}, median {median(scores):g}, "
                f"lowest {min(scores):g}, highest {max(scores):g}."
            )
        if self.others:
            names = ", ".join(printable(name, 30) for name in self.others)
            parts.append(textwrap.fill(f"Neither .py nor .ipynb, so not graded: {names}", 80))
        mistakes = self.mistakes()
        if mistakes:
            parts.append("The commonest mistakes:")
        for count, title, reason in mistakes[:MOST]:
            share = f"{count:3} of {len(scores)}  "
            lines = [share + title, *(" " * len(share) + line for line in reason.splitlines())]
            wrap = partial(textwrap.fill, width=80, subsequent_indent=" " * len(share))
            parts.append("\n".join(map(wrap, lines)))
        return "\n\n".join(parts)

    __repr__ = __str__


def grade_all(
    folder: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    seconds: float = 10.0,
    megabytes: int = 2048,
    progress: Callable[[str, int, int], None] | None = None,
) -> ClassGrades:
    r"""Grade the submissions of a class.

    Each ``.py`` and ``.ipynb`` file in the folder is a submission, and so is each of its folders,
    in which the file with the most points counts. So the downloads of Canvas (files), Moodle and
    nbgrader (a folder for each student) can be graded as they are.

    Parameters
    ----------
    folder : path
    source, seconds, megabytes
        As for :func:`~nnreg.course.grade`.
    progress : function (str, int, int), optional
        Called with the next submission, the number of those graded, and of all.

    Returns
    -------
    ClassGrades

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or nothing in it is a submission.
    ValueError
        As for :func:`~nnreg.course.grade`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "ada.py").write_text("def relu_forward(x):\n    return x * (x > 0), x\n")
    >>> grades = grade_all(folder, "exercise_1")
    >>> grades.graded["ada.py"].score
    12.0
    """
    path = Path(check_path("folder", folder))
    if not path.is_dir():
        raise FileNotFoundError(f"folder: there is no folder {os.fspath(folder)}")
    exercise_ = exercise(source)
    entries: list[Path] = []
    others: list[Path] = []
    for entry in sorted(path.iterdir(), key=lambda entry: entry.name.lower()):
        if not entry.name.startswith((".", "__")):
            submitted = entry.is_dir() or entry.suffix.lower() in SUFFIXES
            (entries if submitted else others).append(entry)
    if not entries:
        raise FileNotFoundError(
            f"folder: there is no .py file, no .ipynb and no folder in {os.fspath(folder)}"
        )
    grades: dict[str, Grade | str] = {}
    for number, entry in enumerate(entries):
        if progress:
            progress(entry.name, number, len(entries))
        try:
            grades[entry.name] = grade(entry, source, seconds=seconds, megabytes=megabytes)
        except OSError as error:  # a folder without a file, or one that cannot be read
            grades[entry.name] = str(error).removeprefix("submission: ")
    return ClassGrades(exercise_, grades, tuple(entry.name for entry in others))
