"""PyTorch: networks as ``torch.nn.Sequential``, and weights as a ``state_dict``.

PyTorch's weights have shape (outputs, inputs), so they are transposed. Its ``Dropout(p)`` is
``Dropout(keep_prob=1 - p)``. It has no penalties in its modules: ``weight_decay`` of an optimizer
is the strength of L2, see :mod:`nnreg.conventions`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._support import containers, validation
from nnreg._support.files import check_path, write_whole
from nnreg._support.typing import Array
from nnreg.interop.shared import build_network, refuse_rules, select_layers
from nnreg.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.layers.dropout import Dropout
from nnreg.network import Network

# Above its threshold, PyTorch's Softplus is the identity. At 40 that is exact in float64.
MODULES: dict[type[Layer], Callable[[Any, Any], Any]] = {
    Dense: lambda nn, layer: nn.Linear(*layer.weight.shape, bias=layer.use_bias),
    ReLU: lambda nn, layer: nn.ReLU(),
    LeakyReLU: lambda nn, layer: nn.LeakyReLU(layer.slope),
    ELU: lambda nn, layer: nn.ELU(layer.alpha),
    GELU: lambda nn, layer: nn.GELU(),
    Tanh: lambda nn, layer: nn.Tanh(),
    Sigmoid: lambda nn, layer: nn.Sigmoid(),
    Softplus: lambda nn, layer: nn.Softplus(threshold=40),
    Dropout: lambda nn, layer: nn.Dropout(1 - layer.keep_prob),
}


def to_torch(net: Network) -> Any:
    """Return a ``torch.nn.Sequential`` with the layers and a copy of the weights.

    Parameters
    ----------
    net : Network
        Without penalties and constraints, which PyTorch's modules do not have. Its outputs are raw
        in PyTorch too: softmax belongs to the loss.

    Returns
    -------
    torch.nn.Sequential
        In training mode, like every new module, and in the network's dtype. Class labels are not
        converted: ``net.classes[i]`` is the label of output ``i``.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    ValueError
        If the network has a layer, penalty or constraint that has no equal there.

    Examples
    --------
    >>> import nnreg as nn
    >>> to_torch(nn.Network([nn.Dense(2)], inputs=3, penalty=nn.L2(0.1)))
    Traceback (most recent call last):
        ...
    ValueError: dense_1.weight has the penalty L2(strength=0.1), which has no equal in PyTorch's
    modules; remove it before: net.penalty = None
    """
    layers = select_layers(net, "PyTorch", MODULES)
    refuse_rules(net, "PyTorch's modules")
    torch = _torch()
    with torch.device("meta"):  # no memory, and no draws of initial values
        module = torch.nn.Sequential(*[MODULES[type(layer)](torch.nn, layer) for layer in layers])
    values = {name: torch.from_numpy(array) for name, array in _state_dict(layers).items()}
    module.load_state_dict(values, assign=True)
    return module


def from_torch(module: Any) -> Network:
    """Return a network with the layers and a copy of the weights of a ``torch.nn.Sequential``.

    Parameters
    ----------
    module : torch.nn.Sequential
        Of Linear, ReLU, LeakyReLU, ELU, GELU, Tanh, Sigmoid, Softplus, Dropout, Flatten, Identity
        and further Sequential. For any other module, create the network, and use
        :func:`load_state_dict`.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    ValueError, TypeError
        If the module has a part that nnreg does not have; the error names it. A path to a file
        ``.pt`` is refused, since to read it can run any code.

    Examples
    --------
    >>> from_torch("net.pt")
    Traceback (most recent call last):
        ...
    ValueError: net.pt is a pickle, which can run any code when it is read. Save the weights in
    PyTorch with safetensors.torch.save_file(module.state_dict(), 'net.safetensors'), and
    load them here with nnreg.interop.load_state_dict(net, 'net.safetensors')
    """
    if isinstance(module, str | os.PathLike):
        raise _refuse_file(check_path("module", module))
    advice = "create the network, then nnreg.interop.load_state_dict(net, state_dict) fills it"
    if isinstance(module, Mapping):
        raise TypeError(f"module must be a torch.nn.Sequential, got a state_dict; {advice}")
    torch = _torch()
    sequential = torch.nn.Sequential
    if getattr(type(module), "forward", None) is not sequential.forward:
        raise TypeError(
            f"module must be a torch.nn.Sequential, got {type(module).__name__}; {advice}"
        )
    layers: list[Layer] = []
    linear: dict[str, Any] = {}
    for name, part in module.named_modules(remove_duplicate=False):
        place, kind = f"module.get_submodule({name!r})" if name else "module", type(part).__name__
        if part._forward_hooks or part._forward_pre_hooks:
            raise ValueError(f"{place} has hooks, which can change its outputs: remove them before")
        if type(part).forward is sequential.forward:
            continue
        if kind not in LAYERS or type(part) is not getattr(torch.nn, kind):
            hint = "; the outputs of a Network are raw: leave it out" if "Softmax" in kind else ""
            raise ValueError(f"{place} is {part!r}, which has no equal in nnreg{hint}")
        try:
            layers += LAYERS[kind](part)
        except ValueError as error:
            raise ValueError(f"{place} is {part!r}: {error}") from None
        if kind == "Linear":
            linear[name] = part
    if not linear:
        raise ValueError("module must have a torch.nn.Linear, got none")
    arrays = [
        [_to_array(f"{name}.weight", part.weight).T]
        + ([] if part.bias is None else [_to_array(f"{name}.bias", part.bias)])
        for name, part in linear.items()
    ]
    return build_network(layers, arrays, inputs=arrays[0][0].shape[0])


def _gelu(module: Any) -> list[Layer]:
    if module.approximate != "none":
        raise ValueError("nnreg has the exact GELU only")
    return [GELU()]


def _softplus(module: Any) -> list[Layer]:
    if module.beta != 1 or module.threshold < 20:  # 20 is the default: an error of 2e-9
        raise ValueError("nnreg has beta=1 only, and no threshold")
    return [Softplus()]


def _flatten(module: Any) -> list[Layer]:
    if (module.start_dim, module.end_dim) != (1, -1):
        raise ValueError("the rows of the inputs remain rows: Flatten(1, -1)")
    return []


LAYERS: dict[str, Callable[[Any], list[Layer]]] = {
    "Linear": lambda module: [Dense(module.out_features, bias=module.bias is not None)],
    "ReLU": lambda module: [ReLU()],
    "LeakyReLU": lambda module: [LeakyReLU(module.negative_slope)],
    "ELU": lambda module: [ELU(module.alpha)],
    "GELU": _gelu,
    "Tanh": lambda module: [Tanh()],
    "Sigmoid": lambda module: [Sigmoid()],
    "Softplus": _softplus,
    "Dropout": lambda module: [Dropout(keep_prob=1 - module.p)],
    "Flatten": _flatten,
    "Identity": lambda module: [],
}


def load_state_dict(
    net: Network, state_dict: Any, *, layers: Sequence[str] | None = None
) -> Network:
    """Write the weights of a PyTorch module into a network, all or none, and return it.

    PyTorch need not be installed.

    Parameters
    ----------
    net : Network
        With one dense layer for each linear one of the module.
    state_dict : mapping of str to tensor or array, or path
        ``module.state_dict()``, or the path of a file ``.safetensors`` that has it.
    layers : sequence of str, optional
        The names of the linear layers, in the order of the network. May be omitted if they are
        equal up to numbers, such as ``fc1`` and ``fc2``: these are the order.

    Raises
    ------
    ImportError
        If the file needs safetensors, and it is not installed.
    ValueError, TypeError
        If a name or a shape differs, the order is unknown, or the file is a pickle.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(2)], inputs=3)
    >>> state_dict = {"fc.weight": np.array([[1, 2, 3], [4, 5, 6]]), "fc.bias": np.zeros(2)}
    >>> load_state_dict(net, state_dict).parameters["dense_1.weight"]
    array([[1., 4.],
           [2., 5.],
           [3., 6.]], dtype=float32)
    """
    dense = _dense_layers(net)
    values = _read(state_dict)
    if layers is None:
        layers = _sort({name.rpartition(".")[0] for name in values})
    if len(layers) != len(dense):
        raise ValueError(
            f"state_dict must have the weights of {len(dense)} layers, as the network, "
            f"got {len(layers)}: {', '.join(layers)}"
        )
    names = {
        f"{theirs}.{parameter}".removeprefix("."): f"{ours.name}.{parameter}"
        for theirs, ours in zip(layers, dense, strict=True)
        for parameter in net.parameters.of(ours.name)
    }
    if wrong := sorted(names.keys() ^ values.keys()):
        raise ValueError(f"state_dict must have {', '.join(names)}; it differs in {wrong}")
    new = net.parameters.like()
    for theirs, ours in names.items():
        shape = new[ours].T.shape
        if values[theirs].shape != shape:
            raise ValueError(
                f"{theirs} must have shape {shape}, for {ours}, got {values[theirs].shape}"
            )
        new[ours] = values[theirs].T
    net.parameters.vector = new.vector
    return net


def save_state_dict(net: Network, path: str | Path, *, overwrite: bool = False) -> None:
    """Write the weights as a ``state_dict`` in a file ``.safetensors``.

    In PyTorch, ``module.load_state_dict(safetensors.torch.load_file(path))`` reads it. The names
    are those of the ``Sequential`` that :func:`to_torch` returns: ``0.weight``, of shape
    (outputs, inputs), and ``0.bias``. PyTorch need not be installed.

    Parameters
    ----------
    net : Network
        Of its parameters only, not its layers and penalties.
    path : path
        Must end in ``.safetensors``.
    overwrite : bool, default False

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    ImportError
        If safetensors is not installed.
    ValueError, TypeError
        If the path has another ending, or a layer with parameters is not dense.

    Examples
    --------
    >>> import tempfile, nnreg as nn
    >>> path = Path(tempfile.mkdtemp(), "net.safetensors")
    >>> save_state_dict(nn.Network([nn.Dense(2)], inputs=3), path)
    >>> containers.unpack(path)[0]["0.weight"].shape
    (2, 3)
    """
    _dense_layers(net)
    if not containers.is_safetensors(path := check_path("path", path)):
        raise ValueError(f"path must end in .safetensors, got {path}")
    content = containers.pack(path, _state_dict(net.layers), {"format": "pt"})
    write_whole(path, content, overwrite=overwrite)


def _dense_layers(net: Network) -> list[Dense]:
    """Return the layers that have parameters; raise if one is not dense.

    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(2), nn.ReLU(), nn.Dense(1)], inputs=3)
    >>> [layer.name for layer in _dense_layers(net)]
    ['dense_1', 'dense_2']
    """
    validation.instance("net", net, Network, "a Network")
    layers: list[Any] = list(net.trainable_layers())
    for layer in layers:
        if type(layer) is not Dense:
            raise ValueError(f"{layer.name} must be a Dense layer, got a {type(layer).__name__}")
    return layers


def _state_dict(layers: Iterable[Layer]) -> dict[str, Array]:
    """Return copies of the weights by the names of a ``Sequential``."""
    return {
        f"{index}.{name}": np.array(getattr(layer, name).T, order="C")
        for index, layer in enumerate(layers)
        for name in layer._bound or ()
    }


def _read(state_dict: Any) -> dict[str, Array]:
    """Return the arrays of a state_dict or of a file."""
    if isinstance(state_dict, str | os.PathLike):
        path = check_path("state_dict", state_dict)
        if not containers.is_safetensors(path):
            raise _refuse_file(path)
        try:
            arrays, texts = containers.unpack(path)
        except (ImportError, OSError):  # an extra is not installed; there is no such file
            raise
        except Exception as error:
            raise ValueError(f"{path} cannot be read as safetensors: {error}") from error
        if "description" in texts:
            raise ValueError(f"{path} was written by nn.save: nn.load({path!r}) reads it")
        return arrays
    kind = "a state_dict or the path of a .safetensors file"
    validation.instance("state_dict", state_dict, Mapping, kind)
    return {str(name): _to_array(name, value) for name, value in state_dict.items()}


def _to_array(name: str, value: Any) -> Array:
    """Return a tensor or array of numbers as an array."""
    if hasattr(value, "detach"):
        if (dtype := str(value.dtype)) not in ("torch.float32", "torch.float64"):
            raise ValueError(
                f"{name} must be float32 or float64, got {dtype}: module.float() converts it"
            )
        value = value.detach().cpu().numpy()
    return validation.numeric(name, value)


def _sort(names: Iterable[str]) -> list[str]:
    """Return the names of layers in the order of their numbers.

    >>> _sort(["net.10", "net.2"])
    ['net.2', 'net.10']
    """
    names = sorted(names)
    if len({re.sub(r"\d+", "#", name) for name in names}) > 1:
        raise ValueError(
            f"the names do not show the order of the layers: pass layers={names} in their order"
        )
    return sorted(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def _refuse_file(path: str) -> ValueError:
    """Return the error for a file of another format: PyTorch's are pickles."""
    if containers.is_safetensors(path):
        return ValueError(
            f"{path} has weights and no layers: create the network, then "
            f"nnreg.interop.load_state_dict(net, {path!r}) fills it"
        )
    new = str(Path(path).with_suffix(".safetensors"))
    return ValueError(
        f"{path} is a pickle, which can run any code when it is read. Save the weights in PyTorch "
        f"with safetensors.torch.save_file(module.state_dict(), {new!r}), and load them here with "
        f"nnreg.interop.load_state_dict(net, {new!r})"
    )


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise ImportError("PyTorch is needed: pip install 'nnreg[torch]'") from None
    return torch
