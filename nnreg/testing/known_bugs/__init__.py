"""Known bugs of backward passes, each with a description and a hint.

They were collected from exercises, from questions of students, and from published code with wrong
gradients. The order is relevant to :func:`nnreg.testing.diagnose`: if two bugs give the same
numbers, the first is reported.
"""

from __future__ import annotations

from nnreg.testing.known_bugs.activations import ACTIVATIONS
from nnreg.testing.known_bugs.base import KnownBug
from nnreg.testing.known_bugs.behaviour import BEHAVIOUR
from nnreg.testing.known_bugs.dense import ANY_LAYER, DENSE
from nnreg.testing.known_bugs.dropout import DROPOUT
from nnreg.testing.known_bugs.gradients import GRADIENTS
from nnreg.testing.known_bugs.losses import LOSSES
from nnreg.testing.known_bugs.normalizations import NORMALIZATIONS
from nnreg.testing.known_bugs.penalties import NETWORKS, PENALTIES

#: All known bugs, by name.
KNOWN_BUGS: dict[str, KnownBug] = {
    bug.name: bug
    for group in (
        *(DENSE, ACTIVATIONS, DROPOUT, NORMALIZATIONS, ANY_LAYER, BEHAVIOUR),
        *(LOSSES,),
        *(PENALTIES, NETWORKS, GRADIENTS),
    )
    for bug in group
}
