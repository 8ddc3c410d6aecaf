"""Reproductions of published tables: Nielsen's chapter 3, and Srivastava et al.'s table 9.

``recipes`` defines a row of a table, ``nielsen`` and ``table9`` are the rows, ``training`` trains
one, ``runner`` trains all and stores each result, ``significance`` has the statistical tests, and
``report`` makes the tables. The command is ``python -m benchmarks.papers``.
"""
