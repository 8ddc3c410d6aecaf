"""Grading: named checks with points, run on a submission in a process of its own.

Read in this order: ``exercises`` says what a check is; ``tutor`` has what checks are written with;
``submission`` makes a module of a file or notebook; ``child`` is the process in which that runs,
with ``tampering`` and ``limits``; ``process`` watches it from outside; ``grader`` puts all this
together; ``result`` is what comes out.
"""

from nnreg.course.grading.exercises import Check, Exercise, check, exercise
from nnreg.course.grading.grader import grade
from nnreg.course.grading.result import Grade, Result

__all__ = ["Check", "Exercise", "Grade", "Result", "check", "exercise", "grade"]
