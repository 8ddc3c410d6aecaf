"""The course: exercises, their grader, and CS231n's functions (:mod:`nnreg.course.cs231n`)."""

from nnreg.course import cs231n
from nnreg.course.gradescope import write_archive
from nnreg.course.grading import (
    Check,
    ClassGrades,
    Exercise,
    Grade,
    Result,
    check,
    exercise,
    grade,
    grade_all,
)

__all__ = [
    "Check",
    "ClassGrades",
    "Exercise",
    "Grade",
    "Result",
    "check",
    "cs231n",
    "exercise",
    "grade",
    "grade_all",
    "write_archive",
]
