"""The commands behind `nnreg`, a module each.

``add(commands)`` adds a command's parser, whose default ``run`` is the function that takes what was
given and returns the exit status.
"""

from nnreg.commands import bias_variance, compare, data, grade, path

__all__ = ["bias_variance", "compare", "data", "grade", "path"]
