"""Model selection: the strength of each regularizer, selected on validation rows.

Test rows are not used: a strength that is selected on them is fitted to them. Each strength of a
small grid is tried in one training run with the seed of the first repeat; dropout + L2 uses the
selected ``keep_prob`` and tries the grid of L2 again, since two regularizers together require lower
strengths. The strength with the lowest validation data loss is selected. Then the validation rows
are added to the training rows again, and the final runs train on all of them.

A penalty is added to the *mean* loss of the rows and is not divided by their number N, so the best
strength decreases as N grows. The grids of L2 and L1 are therefore numbers divided by N.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nnreg.lab.settings import Settings, Strengths

L2_GRID = (0.3, 1.0, 3.0, 10.0, 30.0)  # to be divided by N
L1_GRID = (0.1, 0.3, 1.0, 3.0)  # to be divided by N
KEEP_GRID = (0.8, 0.5, 0.3, 0.2)


@dataclass(frozen=True)
class Candidate:
    """Strengths that were tried, and their data loss on the validation rows.

    Parameters
    ----------
    variant : str
    strengths : Strengths
    loss : float
        Infinite if the training loss was not finite.

    Examples
    --------
    >>> Candidate("L2", Strengths(l2=0.1), 0.5).loss
    0.5
    """

    variant: str
    strengths: Strengths
    loss: float


@dataclass(frozen=True)
class ModelSelection:
    """The strengths of each variant, and the candidates that were tried.

    Parameters
    ----------
    strengths : dict of str to Strengths
        By variant.
    candidates : tuple of Candidate
        Empty if every strength was set.

    Examples
    --------
    >>> settings = Settings(l2=0.1, l1=0.01, keep_prob=0.5)
    >>> selection = select_strengths(settings, 100, lambda tried: [0.0] * len(tried))
    >>> str(selection.strengths["dropout + L2"]), selection.candidates
    ('L2 0.1, keep_prob 0.5', ())
    """

    strengths: dict[str, Strengths]
    candidates: tuple[Candidate, ...]

    def tried(self, variant: str) -> list[Candidate]:
        """Return the candidates of one variant."""
        return [candidate for candidate in self.candidates if candidate.variant == variant]

    def is_at_grid_edge(self, variant: str) -> bool:
        """Return whether the selected value is the first or last of its grid.

        >>> selection = select_strengths(
        ...     Settings(), 100, lambda tried: [s.l1 + s.l2 - s.keep_prob for s in tried]
        ... )
        >>> selection.is_at_grid_edge("L2")
        True
        """
        tried = self.tried(variant)
        return bool(tried) and self.strengths[variant] in (tried[0].strengths, tried[-1].strengths)


def make_grids(settings: Settings, rows: int) -> dict[str, tuple[float, ...]]:
    """Return the values to try, for the strengths that are None in the settings.

    >>> make_grids(Settings(keep_prob=0.5), 300)
    {'l2': (0.001, 0.003, 0.01, 0.03, 0.1), 'l1': (0.0003, 0.001, 0.003, 0.01)}
    """
    grids = {
        "l2": tuple(float(f"{value / rows:.0e}") for value in L2_GRID),
        "l1": tuple(float(f"{value / rows:.0e}") for value in L1_GRID),
        "keep_prob": KEEP_GRID,
    }
    return {name: grid for name, grid in grids.items() if getattr(settings, name) is None}


def select_strengths(
    settings: Settings,
    rows: int,
    validation_losses: Callable[[Sequence[Strengths]], Sequence[float]],
) -> ModelSelection:
    """Select the strengths that are None in the settings.

    Parameters
    ----------
    settings : Settings
    rows : int
        Training rows, N.
    validation_losses : function (strengths) -> losses
        It is called twice, because dropout + L2 needs the selected ``keep_prob``.

    Examples
    --------
    >>> settings = Settings(l1=0.0, keep_prob=0.5)
    >>> selection = select_strengths(settings, 100, lambda tried: [abs(s.l2 - 0.1) for s in tried])
    >>> str(selection.strengths["L2"]), len(selection.candidates)
    ('L2 0.1', 10)
    """
    grids = make_grids(settings, rows)
    candidates: list[Candidate] = []
    selected = {"none": Strengths()}

    def select(names: dict[str, str], start: Strengths) -> None:
        """Select, for each variant, the strength of this name."""
        trials = [
            (variant, replace(start, **{name: value}))
            for variant, name in names.items()
            for value in grids.get(name, ())
        ]
        losses = validation_losses([strengths for _, strengths in trials])
        tried = [Candidate(*trial, loss) for trial, loss in zip(trials, losses, strict=True)]
        candidates.extend(tried)
        for variant, name in names.items():
            selected[variant] = (
                min((c for c in tried if c.variant == variant), key=lambda c: c.loss).strengths
                if name in grids
                else replace(start, **{name: getattr(settings, name)})
            )

    select({"L2": "l2", "L1": "l1", "dropout": "keep_prob"}, selected["none"])
    select({"dropout + L2": "l2"}, selected["dropout"])
    return ModelSelection(selected, tuple(candidates))
