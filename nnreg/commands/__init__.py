"""The command line of `nnreg`.

``add(commands)`` adds the parsers of commands; the default ``run`` of each is the function that
takes the parsed arguments and returns the exit status.
"""
