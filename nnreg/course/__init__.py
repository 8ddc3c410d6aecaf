"""The course: exercises, their grader, and CS231n's functions."""

from nnreg.course.grading import Check, Exercise, Grade, Result, check, exercise, grade

__all__ = ["Check", "Exercise", "Grade", "Result", "check", "exercise", "grade"]
