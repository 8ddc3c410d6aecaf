"""Grading: named checks with points, run on a submission in a separate process.

``exercises`` defines checks and exercises; ``assertions`` has functions for writing checks;
``submission`` reads a file or notebook; ``worker`` is the process in which it runs; ``process``
starts and ends that process; ``wire`` connects both; ``grader`` runs the checks.
"""

from nnreg.course.grading.exercises import Check, Exercise, check, exercise
from nnreg.course.grading.grader import Grade, Result, grade

__all__ = ["Check", "Exercise", "Grade", "Result", "check", "exercise", "grade"]
