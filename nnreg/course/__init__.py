"""The course: exercises, their grader, and CS231n's functions (:mod:`nnreg.course.cs231n`)."""

from nnreg.course import cs231n
from nnreg.course.grading import Check, Exercise, Grade, Result, check, exercise, grade

__all__ = ["Check", "Exercise", "Grade", "Result", "check", "cs231n", "exercise", "grade"]
