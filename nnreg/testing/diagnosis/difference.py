"""Where no known mistake matches: the pattern in the ratios of a gradient to the right one."""

from __future__ import annotations

import numpy as np

from nnreg._support.typing import Array


def describe_difference(found: Array, right: Array) -> str:
    """Return, in a sentence, how ``found`` differs from ``right``.

    >>> describe_difference(np.array([3.0, 6.0]), np.array([1.0, 2.0]))
    'every entry is 3 times the right one'
    >>> describe_difference(np.array([1.0, 2.0, 5.0]), np.array([1.0, 2.0, 3.0]))
    '1 of 3 entries is wrong, at [2]'
    """
    if found.shape != right.shape:
        return f"it has the shape {found.shape}, and should have {right.shape}"
    if not np.isfinite(found).all():
        return "it has entries that are not finite numbers"
    size = float(np.abs(right).max(initial=0.0)) or 1.0
    wrong = np.abs(found - right) > 1e-6 * size
    judged = np.abs(right) > 1e-9 * size
    if found[~judged].any():
        return "entries that should be zero are not"
    ratio = np.divide(found, right, out=np.ones_like(right), where=judged)
    if _constant(ratio):
        return f"every entry is {ratio.flat[0]:.6g} times the right one"
    if ratio.ndim == 2:
        for words, lines in (("row", ratio), ("column", ratio.T)):
            if all(_constant(line) for line in lines):
                factors = ", ".join(f"{line[0]:.4g}" for line in lines[:6])
                return f"each {words} has its own factor: {factors}" + ", ..." * (len(lines) > 6)
    count = int(wrong.sum())
    if count == 1:
        where = [int(i) for i in np.argwhere(wrong)[0]]
        return f"1 of {wrong.size} entries is wrong, at {where}"
    return (
        f"{count} of {wrong.size} entries are wrong; they are {ratio[wrong].min():.4g} to "
        f"{ratio[wrong].max():.4g} times the right ones"
    )


def _constant(values: Array) -> bool:
    return bool(np.ptp(values) <= 1e-6 * max(float(np.abs(values).max()), 1e-12))
