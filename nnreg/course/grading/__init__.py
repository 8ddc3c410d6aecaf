"""Grading: named checks with points, run on a submission in a process of its own.

``exercises`` defines a check; ``assertions`` has what checks are written with; ``submission`` makes
a module of a file or notebook; ``worker`` is the process in which it runs; ``process`` starts and
ends that process; ``grader`` puts these together, and has what comes out.
"""

from nnreg.course.grading.exercises import Check, Exercise, check, exercise
from nnreg.course.grading.grader import Grade, Result, grade

__all__ = ["Check", "Exercise", "Grade", "Result", "check", "exercise", "grade"]
