"""The command line of `nnreg`.

``add(commands)`` adds the parsers of commands; the default ``run`` of a parser is the function that
receives the parsed arguments and returns the exit status.
"""
