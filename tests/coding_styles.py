"""The known bugs in three styles of other people's code: functions, an object, dictionaries."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import nnreg as nn
from nnreg.testing.diagnosis.samples import as_functions


@dataclass
class Code:
    """A computation of arrays (differentiated by) and data, with its gradients.

    ``forward(arrays)`` returns ``(output, memory)`` and ``backward(dy, memory)`` the gradients by
    name; ``state`` are the names of the arrays that an object holds.
    """

    arrays: dict[str, np.ndarray]
    forward: Any
    backward: Any
    state: list[str]
    data: dict[str, np.ndarray] = field(default_factory=dict)


def code_of(bug, seed=0):
    """Return the example of a known bug without nnreg's classes."""
    made, *arguments = bug.example(seed)
    if isinstance(made, nn.Layer):
        return _of_layer(made, *arguments)
    if isinstance(made, nn.Penalty):

        def penalty(a):
            gradient = np.zeros(a["w"].shape)
            if not np.iscomplexobj(a["w"]):
                made.gradient(a["w"], gradient)
            return made.value(a["w"]), {"w": gradient}

        return Code({"w": arguments[0]}, penalty, _times, [])
    if isinstance(made, nn.Loss):

        def loss(a):
            value, gradient = made.compute(a["z"], a["t"])
            return value, {"z": gradient}

        return Code({"z": arguments[0]}, loss, _times, [], {"t": arguments[1]})
    params, x, y = arguments

    def network(a):
        return made({name: a[name] for name in params}, a["x"], a["y"])

    return Code(params, network, _times, list(params), {"x": x, "y": y})


def _times(dy, gradients):
    return {name: dy * g for name, g in gradients.items()}


def _of_layer(layer, x):
    forward, backward = as_functions(layer)
    rng = np.random.default_rng(2)
    declared = layer.parameters(x.shape[1])
    parameters = {name: rng.standard_normal(p.shape) for name, p in declared.items()}

    def split(a):
        return forward(a["x"], {name: a[name] for name in parameters})

    def join(dy, memory):
        answer = backward(dy, memory)
        return {"x": answer[0], **answer[1]} if parameters else {"x": answer}

    return Code({"x": x, **parameters}, split, join, list(parameters))


def as_pair(code):
    """``forward(*arrays) -> (out, cache)``, ``backward(dout, cache) -> (gradients)``."""
    names = [*code.arrays, *code.data]

    def forward(*given):
        return code.forward(dict(zip(names, given, strict=True)))

    def backward(dout, cache):
        gradients = code.backward(dout, cache)
        return tuple(gradients[name] for name in code.arrays)

    return forward, backward, *code.arrays.values(), *code.data.values()


class Object:
    """Arrays as attributes, and their gradients beside them: ``W`` and ``dW``."""

    def __init__(self, code):
        self.code = code
        self.inputs = [n for n in (*code.arrays, *code.data) if n not in code.state]
        vars(self).update({name: code.arrays[name] for name in code.state})

    def forward(self, *inputs):
        """Return the output."""
        state = {name: getattr(self, name) for name in self.code.state}
        output, self.memory = self.code.forward(dict(zip(self.inputs, inputs, strict=True)) | state)
        return output

    def backward(self, dout):
        """Return the gradient with respect to the inputs, and store the others."""
        gradients = self.code.backward(dout, self.memory)
        vars(self).update({f"d{name}": gradients[name] for name in self.code.state})
        inputs = [gradients[name] for name in self.inputs if name in gradients]
        return inputs[0] if inputs else None


def as_object(code):
    """``layer.forward(x)``, ``layer.backward(dout)``, ``layer.W`` and ``layer.dW``."""
    made = Object(code)
    everything = code.arrays | code.data
    return made.forward, made.backward, *(everything[name] for name in made.inputs)


def as_dictionaries(code):
    """``params`` and ``grads``; a loss returns them with its value, as CS231n's networks do."""
    output, _ = code.forward(code.arrays | code.data)
    if np.ndim(output):

        def forward(params):
            return code.forward(params | code.data)

        def backward(dout, cache):
            return {f"d{name}": g for name, g in code.backward(dout, cache).items()}

        return forward, backward, dict(code.arrays)

    def loss(params):
        value, memory = code.forward(params | code.data)
        return value, code.backward(1.0, memory)

    return loss, dict(code.arrays)


STYLES = {"functions": as_pair, "object": as_object, "dictionaries": as_dictionaries}
