"""The gallery of wrong backward passes: classic mistakes, each with its symptom and a hint.

They were collected from exercises, from questions that students ask, and from published code whose
gradients turned out to be wrong. The order matters to :func:`nnreg.testing.diagnose`: where two
mistakes give the same numbers, the one that stands first is named.
"""

from nnreg.testing.gallery.activations import ACTIVATIONS
from nnreg.testing.gallery.behaviour import BEHAVIOUR
from nnreg.testing.gallery.cross_entropies import CROSS_ENTROPIES
from nnreg.testing.gallery.dense import ANY_LAYER, DENSE
from nnreg.testing.gallery.dropout import DROPOUT
from nnreg.testing.gallery.losses import LOSSES
from nnreg.testing.gallery.penalties import NETWORKS, PENALTIES
from nnreg.testing.mistakes import Mistake

#: All mistakes, by name.
GALLERY: dict[str, Mistake] = {
    mistake.name: mistake
    for part in (
        *(DENSE, ACTIVATIONS, DROPOUT, ANY_LAYER, BEHAVIOUR),
        *(CROSS_ENTROPIES, LOSSES),
        *(PENALTIES, NETWORKS),
    )
    for mistake in part
}
