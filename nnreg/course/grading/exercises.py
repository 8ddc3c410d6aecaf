"""Exercises and checks.

An exercise is a Python file with checks; a check is a function that tests one thing.

A check receives the submission, as a module, and a random generator with a fixed seed. It raises
``AssertionError`` with a message for the student; if it returns, the points are earned. So it can
be called wherever assertions are used: by :func:`nnreg.course.grade`, by otter-grader, in a cell of
nbgrader, in a notebook.
"""

from __future__ import annotations

import importlib
import operator
import os
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from nnreg._support import validation
from nnreg._support.files import check_path
from nnreg.course.grading.submission import CheckFailedError, as_module, reason

Function: TypeAlias = Callable[[Any, np.random.Generator], None]

#: The exercises that come with nnreg, modules of :mod:`nnreg.course.exercises`.
EXERCISES = tuple(f"exercise_{number}" for number in range(1, 9))

#: Packages that a submission may import by default, besides simple standard modules.
MODULES = ("numpy", "matplotlib")

FILE_MODULE = "nnreg_exercise"  # the module of an exercise that does not come with nnreg

#: Values of Gradescope for the visibility of a check's result.
VISIBILITIES = ("visible", "hidden", "after_due_date", "after_published")


@dataclass(frozen=True)
class Check:
    """One requirement, with its points.

    Attributes
    ----------
    name : str
        The function's name.
    title : str
        The requirement as a sentence: the first line of the function's docstring.
    points : float
    seconds : float or None
        Time limit; None means the limit of the grader.
    seed : int
        Seed of the generator that is passed to the function.
    visibility : str
        One of ``"visible"``, ``"hidden"``, ``"after_due_date"``, ``"after_published"``.
    """

    name: str
    title: str
    points: float
    function: Function = field(repr=False)
    seconds: float | None = None
    seed: int = 0
    visibility: str = "visible"

    def __call__(self, submission: Any) -> None:
        """Return if the submission passes.

        Parameters
        ----------
        submission : module, mapping or object with attributes
            ``globals()``, for instance.

        Raises
        ------
        AssertionError
            If it does not; the message is the reason, also for an exception of the submission.
        """
        try:
            with np.errstate(all="ignore"):
                self.function(as_module(submission), np.random.default_rng(self.seed))
        except (Exception, SystemExit) as error:
            raise CheckFailedError(reason(error)) from error

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the location of the function; unpickling loads the exercise again."""
        module = self.function.__module__
        source = module.rpartition(".")[2]
        if module == FILE_MODULE:
            source = self.function.__code__.co_filename
        elif module != f"nnreg.course.exercises.{source}":
            raise TypeError(f"the check {self.name} cannot be pickled: its function is in {module}")
        return operator.getitem, (exercise(source), self.name)


def check(
    points: float, *, seconds: float | None = None, seed: int = 0, visibility: str = "visible"
) -> Callable[[Function], Check]:
    """Return a decorator that turns ``function(submission, rng)`` into a check.

    Parameters
    ----------
    points : float
        Above 0.
    seconds : float, optional
        Time limit; the limit of the grader by default.
    seed : int, default 0
        Seed of the generator that is passed as the second argument.
    visibility : {"visible", "hidden", "after_due_date", "after_published"}
        Gradescope's setting: when students see the result.

    Returns
    -------
    function (function) -> Check

    Raises
    ------
    ValueError
        If the function has no docstring; its first line is the title for students.

    Examples
    --------
    >>> @check(10)
    ... def doubles(submission, rng):
    ...     '''double: it returns twice its argument.'''
    ...     assert submission.double(3) == 6, "double(3) should be 6."
    >>> doubles({"double": lambda x: 2 * x})
    >>> doubles({"double": lambda x: x})
    Traceback (most recent call last):
        ...
    nnreg.course.grading.submission.CheckFailedError: double(3) should be 6.
    >>> doubles({})
    Traceback (most recent call last):
        ...
    nnreg.course.grading.submission.CheckFailedError: The submission has no double.
    """
    points = validation.number("points", points, 0, open_low=True)
    if seconds is not None:
        seconds = validation.number("seconds", seconds, 0, open_low=True)
    seed = validation.whole("seed", seed)
    validation.one_of("visibility", visibility, VISIBILITIES)

    def decorate(function: Function) -> Check:
        title = (function.__doc__ or "").strip().partition("\n")[0]
        name = function.__name__
        if not title:
            raise ValueError(
                f"the check {name} must have a docstring: students read its first line"
            )
        return Check(name, title, points, function, seconds, seed, visibility)

    return decorate


@dataclass(frozen=True)
class Exercise:
    """The checks of one exercise, in order.

    Attributes
    ----------
    source : str
        The name of an exercise that comes with nnreg, or the path of a file.
    title : str
    checks : tuple of Check
    modules : tuple of str
        The packages that a submission may import, besides simple standard modules.
    files : tuple of str
        The files of a custom exercise: its own, and those that it extends.

    Examples
    --------
    >>> first = exercise("exercise_1")
    >>> first.points
    100.0
    >>> first["relu_at_zero"].title
    'relu_backward: the derivative at exactly x = 0 is 0.'
    """

    source: str
    title: str
    checks: tuple[Check, ...]
    modules: tuple[str, ...] = MODULES
    files: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return exercise, (self.source,)

    @property
    def points(self) -> float:
        """The sum of the points of all checks."""
        return sum(check.points for check in self.checks)

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def __getitem__(self, name: str) -> Check:
        named = {check.name: check for check in self.checks}
        return named[validation.one_of("the check", name, named)]


def exercise(source: str | os.PathLike[str]) -> Exercise:
    """Return an exercise: one that comes with nnreg, or a custom one.

    Parameters
    ----------
    source : str or path
        ``"exercise_1"`` to ``"exercise_8"``, or a Python file. Its checks are the functions
        decorated by :func:`check`; its title is the first line of its docstring; ``MODULES``, if it
        is defined, names the packages that a submission may import; ``EXTENDS``, if it is defined,
        is the name of another exercise, or of a file in the same folder, whose checks come first.
        A check with the name of one of these replaces it.

    Returns
    -------
    Exercise

    Raises
    ------
    ValueError
        If there is neither such an exercise nor such a file, or the file has no checks.

    Examples
    --------
    >>> exercise("exercise_2").title
    'Exercise 2: softmax and the cross-entropy.'
    """
    name, base = check_path("exercise", source), None
    if name in EXERCISES:
        names = vars(importlib.import_module(f"nnreg.course.exercises.{name}"))
    elif Path(name).is_file():
        name = str(Path(name).resolve())
        if not name.endswith(".py"):
            raise ValueError(f"exercise must be a Python file, .py, got {name}")
        names = runpy.run_path(name, run_name=FILE_MODULE)
        if extended := names.get("EXTENDS"):
            base = exercise(extended if extended in EXERCISES else Path(name).with_name(extended))
    else:
        raise ValueError(
            f"exercise must be one of {', '.join(EXERCISES)} or a Python file, got {name!r}"
            f"{validation.nearest(name, EXERCISES)}"
        )
    checks = tuple(value for value in names.values() if isinstance(value, Check))
    if not checks:
        raise ValueError(
            f"exercise: there are no checks in {name}: write @check(points) above each"
        )
    title = (names["__doc__"] or Path(name).stem).strip().partition("\n")[0]
    modules: tuple[str, ...] = MODULES
    files: tuple[str, ...] = () if name in EXERCISES else (name,)
    if base:
        checks = tuple({check.name: check for check in (*base.checks, *checks)}.values())
        modules, files = base.modules, (*files, *base.files)
    return Exercise(name, title, checks, tuple(names.get("MODULES", modules)), files)
