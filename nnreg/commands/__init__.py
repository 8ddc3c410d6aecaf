"""The commands of `nnreg`, a module each.

``add(commands)`` adds the parser of a command; its default ``run`` is the function that takes the
parsed arguments and returns the exit status.
"""
