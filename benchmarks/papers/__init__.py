"""Tables of the literature, measured again: Nielsen's chapter 3, and Srivastava et al.'s table 9.

``recipes`` says what a row of a table is, ``nielsen`` and ``table9`` are the rows, ``training``
trains one, ``runner`` trains all and keeps each result as it comes, ``judgement`` compares, and
``report`` writes it down. The command is ``python -m benchmarks.papers``.
"""
