"""The gallery of wrong backward passes: classic mistakes, each with its description and a hint.

They were collected from exercises, from questions that students ask, and from published code whose
gradients turned out to be wrong. The order matters to :func:`nnreg.testing.diagnose`: where two
mistakes give the same numbers, the one that stands first is named.
"""

from __future__ import annotations

from nnreg.testing.known_bugs.activations import ACTIVATIONS
from nnreg.testing.known_bugs.base import KnownBug
from nnreg.testing.known_bugs.behaviour import BEHAVIOUR
from nnreg.testing.known_bugs.cross_entropies import CROSS_ENTROPIES
from nnreg.testing.known_bugs.dense import ANY_LAYER, DENSE
from nnreg.testing.known_bugs.dropout import DROPOUT
from nnreg.testing.known_bugs.losses import LOSSES
from nnreg.testing.known_bugs.penalties import NETWORKS, PENALTIES

#: All mistakes, by name.
KNOWN_BUGS: dict[str, KnownBug] = {
    mistake.name: mistake
    for part in (
        *(DENSE, ACTIVATIONS, DROPOUT, ANY_LAYER, BEHAVIOUR),
        *(CROSS_ENTROPIES, LOSSES),
        *(PENALTIES, NETWORKS),
    )
    for mistake in part
}
