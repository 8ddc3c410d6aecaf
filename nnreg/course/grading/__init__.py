"""Grading: named checks with points, run on a submission in a separate process.

``exercises`` defines checks and exercises; ``assertions`` has functions for writing checks;
``submission`` reads a file or notebook; ``worker`` is the process in which it runs; ``process``
starts and ends that process; ``wire`` connects both; ``grader`` runs the checks; ``summary`` grades
a whole class.
"""

from nnreg.course.grading.exercises import Check, Exercise, check, exercise
from nnreg.course.grading.grader import Grade, Result, grade
from nnreg.course.grading.summary import ClassGrades, grade_all

__all__ = [
    "Check",
    "ClassGrades",
    "Exercise",
    "Grade",
    "Result",
    "check",
    "exercise",
    "grade",
    "grade_all",
]
