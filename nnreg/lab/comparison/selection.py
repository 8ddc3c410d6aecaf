"""How strongly to regularize: chosen on validation rows, which are training rows held out for it.

Test rows would be the wrong judge: whoever chooses by them has trained on them. Each strength is
tried alone, on a small grid, by one training run with the seed of the first repeat; dropout + L2
takes the chosen ``keep_prob`` and tries the grid of L2 again, since two regularizers together need
less of each. The lowest validation data loss wins. Then the validation rows go back to the others,
and the final runs train on all of them.

A penalty is added to the *mean* loss of the rows and divided by nothing, so the strength that fits
falls as the number of rows N grows. The grids of L2 and L1 are therefore numbers divided by N.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from nnreg.lab.settings import Settings, Strengths

VALIDATION_SHARE = 1 / 3
L2_GRID = (0.3, 1.0, 3.0, 10.0, 30.0)  # to be divided by N
L1_GRID = (0.1, 0.3, 1.0, 3.0)  # to be divided by N
KEEP_GRID = (0.8, 0.5, 0.3, 0.2)


@dataclass(frozen=True)
class Candidate:
    """A combination that was tried, and the data loss that it had on the validation rows.

    Parameters
    ----------
    variant : str
    strengths : Strengths
    loss : float
        Infinite where training broke down.

    Examples
    --------
    >>> Candidate("L2", Strengths(l2=0.1), 0.5).loss
    0.5
    """

    variant: str
    strengths: Strengths
    loss: float


@dataclass(frozen=True)
class Choice:
    """What each variant is given, and what was tried for it.

    Parameters
    ----------
    strengths : dict of str to Strengths
        By variant.
    candidates : tuple of Candidate
        Empty where everything was given.

    Examples
    --------
    >>> choice = choose(Settings(l2=0.1, l1=0.01, keep_prob=0.5), 100, lambda strengths: 0.0)
    >>> str(choice.strengths["dropout + L2"]), choice.candidates
    ('L2 0.1, keep_prob 0.5', ())
    """

    strengths: dict[str, Strengths]
    candidates: tuple[Candidate, ...]

    def tried(self, variant: str) -> list[Candidate]:
        """Return the candidates of one variant."""
        return [candidate for candidate in self.candidates if candidate.variant == variant]


def grids(settings: Settings, rows: int) -> dict[str, tuple[float, ...]]:
    """Return, for the strengths that are not given, the values to try with so many training rows.

    >>> grids(Settings(keep_prob=0.5), 300)
    {'l2': (0.001, 0.003, 0.01, 0.03, 0.1), 'l1': (0.0003, 0.001, 0.003, 0.01)}
    """
    every = {
        "l2": tuple(float(f"{value / rows:.0e}") for value in L2_GRID),
        "l1": tuple(float(f"{value / rows:.0e}") for value in L1_GRID),
        "keep_prob": KEEP_GRID,
    }
    return {name: grid for name, grid in every.items() if getattr(settings, name) is None}


def trials(settings: Settings, rows: int) -> int:
    """Return the number of training runs that choosing takes.

    >>> trials(Settings(), 300), trials(Settings(l2=0.1), 300)
    (18, 8)
    """
    found = grids(settings, rows)
    return sum(map(len, found.values())) + len(found.get("l2", ()))


def choose(settings: Settings, rows: int, trial: Callable[[Strengths], float]) -> Choice:
    """Choose what is not given.

    Parameters
    ----------
    settings : Settings
    rows : int
        Training rows, N.
    trial : function (strengths) -> validation data loss

    Examples
    --------
    >>> choice = choose(Settings(l1=0.0, keep_prob=0.5), 100, lambda s: abs(s.l2 - 0.1))
    >>> str(choice.strengths["L2"]), len(choice.candidates)
    ('L2 0.1', 10)
    """
    wanted = grids(settings, rows)
    candidates: list[Candidate] = []

    def best(variant: str, name: str, start: Strengths) -> Strengths:
        if name not in wanted:
            return replace(start, **{name: getattr(settings, name)})
        tried = []
        for value in wanted[name]:
            strengths = replace(start, **{name: value})
            tried.append(Candidate(variant, strengths, trial(strengths)))
        candidates.extend(tried)
        return min(tried, key=lambda candidate: candidate.loss).strengths

    none = Strengths()
    chosen = {
        "none": none,
        "L2": best("L2", "l2", none),
        "L1": best("L1", "l1", none),
        "dropout": best("dropout", "keep_prob", none),
    }
    chosen["dropout + L2"] = best("dropout + L2", "l2", chosen["dropout"])
    return Choice(chosen, tuple(candidates))


def at_the_edge(choice: Choice, variant: str) -> bool:
    """Tell whether the chosen value ends its grid, so that one beyond might be better.

    >>> at_the_edge(choose(Settings(), 100, lambda s: s.l1 + s.l2 - s.keep_prob), "L2")
    True
    """
    tried = choice.tried(variant)
    return bool(tried) and choice.strengths[variant] in (tried[0].strengths, tried[-1].strengths)


FAILED = math.inf
