"""A trained network with the preparation of its data, as `nnreg train` writes it into one file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from nnreg._support import validation
from nnreg._support.tables import listed
from nnreg._support.typing import Array
from nnreg.checkpoint import encode_checkpoint, load, name_file, read_checkpoint
from nnreg.lab.preprocessing import Standardization
from nnreg.losses import sigmoid, softmax
from nnreg.network import Network

MODEL = "model.npz"
STATE = "data"  # the prefix of the arrays
NUMBERED = re.compile(r"(column|feature|pixel) \d+(,\d+)?")  # names of columns without names


@dataclass(frozen=True, eq=False)
class Model:
    """A network with the names of its inputs and the scales of its data; it has the classes.

    Parameters
    ----------
    net : Network
    features : tuple of D str, optional
        The names of the inputs.
    ignored : tuple of str, optional
        The names of the other columns of the training data: the target's, and those left out.
    standardization : Standardization, optional
        Of the inputs.
    target_scale : tuple of float, default (0, 1)
        In a regression: mean and deviation of the target, which the network's output has to be
        multiplied with and added to.

    Examples
    --------
    >>> import tempfile, nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=1)
    >>> path = Path(tempfile.mkdtemp()) / "model.npz"
    >>> size = path.write_bytes(Model(net, ("age",), target_scale=(1.5, 0.5)).encode())
    >>> model = Model.read(path)
    >>> model.features, model.predict([[2.0]])
    (('age',), array([[2.5]]))
    >>> nn.load(path).predict([[2.0]])
    array([[2.]], dtype=float32)
    """

    net: Network
    features: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    standardization: Standardization | None = None
    target_scale: tuple[float, float] = (0.0, 1.0)

    def prepare(self, x: Array) -> Array:
        """Return inputs (N, D) as the network takes them: standardized, if the model is."""
        return x if self.standardization is None else self.standardization.apply(x)

    def predict(self, x: Any) -> Array:
        """Return the outputs (N, M) for inputs (N, D): logits, or values in the target's unit."""
        outputs = self.net.predict(self.prepare(validation.matrix("x", x, self.net.inputs)))
        mean, scale = self.target_scale
        if (mean, scale) == (0.0, 1.0):
            return outputs
        return mean + scale * outputs.astype(np.float64)

    def probabilities(self, outputs: Array) -> Array:
        """Return the probability of each class, (N, K), for outputs of :meth:`predict`."""
        if outputs.shape[1] == 1:
            p = sigmoid(outputs)
            return np.hstack([1 - p, p])
        return softmax(outputs)

    def find_columns(self, where: str, names: Sequence[str]) -> list[int]:
        """Return the numbers of the columns that are the inputs: by name, if both have names.

        Parameters
        ----------
        where : str
            The source of the columns, for an error.
        names : sequence of str
            The names of all columns. Those called ``column 3`` have no names, and are the inputs
            in their order; the columns that the model leaves out may be among them.

        Raises
        ------
        ValueError
            If a column is missing, or the model neither has it as an input nor leaves it out.

        Examples
        --------
        >>> import nnreg as nn
        >>> model = Model(nn.Network([nn.Dense(1)], inputs=2), ("age", "legs"), ("kind",))
        >>> model.find_columns("new.csv", ("kind", "legs", "age"))
        [2, 1]
        >>> model.find_columns("new.csv", ("legs", "size"))
        Traceback (most recent call last):
            ...
        ValueError: new.csv: no column age; the model has the inputs age, legs
        """
        unnamed = [all(map(NUMBERED.fullmatch, part)) for part in (names, self.features)]
        if any(unnamed) and set(names) != {*self.features, *self.ignored}:
            if len(names) != self.net.inputs:
                raise ValueError(
                    f"{where}: {len(names)} columns, but the model has {self.net.inputs} inputs; "
                    "drop=['A', 'B'] leaves out columns A and B"
                )
            return list(range(len(names)))
        known = f"the model has the inputs {listed(self.features)}"
        numbers = {name: number for number, name in enumerate(names)}
        if missing := [name for name in self.features if name not in numbers]:
            raise ValueError(f"{where}: no column {listed(missing)}; {known}")
        if extra := list(numbers.keys() - {*self.features, *self.ignored}):
            extra.sort(key=numbers.__getitem__)
            raise ValueError(
                f"{where}: the model has no input {listed(extra)}; {known}; drop={extra[:20]} "
                "leaves other columns out"
            )
        return [numbers[name] for name in self.features]

    def get_state(self) -> dict[str, Any]:
        """Return what the file has besides the network."""
        state: dict[str, Any] = {
            "features": list(self.features),
            "ignored": list(self.ignored),
            "target_scale": list(self.target_scale),
        }
        return state | ({} if self.standardization is None else vars(self.standardization))

    def encode(self) -> bytes:
        """Return the content of the file, which :func:`nnreg.load` reads as a network too."""
        return encode_checkpoint(MODEL, self.net, others={STATE: self})  # type: ignore[dict-item]  # its state is not set

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a model, or a network that :func:`nnreg.save` wrote.

        Raises
        ------
        ValueError
            As for :func:`nnreg.load`, or if the file is a checkpoint of a run.
        """
        net = load(path)
        fields, arrays = read_checkpoint(path)
        with name_file(path):
            if "run" in fields:
                raise ValueError(f"it is a checkpoint of a run; its model is {MODEL}")
            if STATE not in fields.get("states", {}):
                return cls(net)
            state = fields["states"][STATE]
            lists = [state[name] for name in ("features", "ignored", "target_scale")]
            features, ignored, (mean, scale) = (tuple(values) for values in lists)
            if not all(isinstance(name, str) for name in (*features, *ignored)):
                raise ValueError("names of columns must be text")
            if len(features) not in (0, net.inputs) or len(set(features)) < len(features):
                raise ValueError(f"it has {len(features)} names for {net.inputs} inputs")
            return cls(
                *(net, features, ignored, _decode_standardization(net, arrays)),
                (validation.number("mean", mean), validation.number("scale", scale, 0)),
            )


def _decode_standardization(net: Network, arrays: dict[str, Array]) -> Standardization | None:
    if f"{STATE}.mean" not in arrays:
        return None
    mean, scale = arrays[f"{STATE}.mean"], arrays[f"{STATE}.scale"]
    for array in (mean, scale):
        if array.shape != (net.inputs,) or array.dtype != np.float64:
            raise ValueError(f"mean and scale must be float64 of shape ({net.inputs},)")
        validation.finite("mean and scale", array)
    if not np.all(scale > 0):
        raise ValueError("scale must be above 0")
    return Standardization(mean, scale)
