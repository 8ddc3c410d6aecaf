"""The same numbers as PyTorch, in float64.

What has to be converted: PyTorch keeps a linear layer's weight as (outputs, inputs). Its
``weight_decay`` is our L2 strength, but applies to biases too unless they are in a parameter group
of their own; in AdamW it is the decoupled decay, so there L2 goes into the loss. L1 always does.
"""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity import architectures, one_step, script, shared
from parity.shared import Array

import nnreg as nn
from nnreg import interop
from nnreg.conventions import Convention, convert_penalty

torch = pytest.importorskip("torch")
prune = pytest.importorskip("torch.nn.utils.prune")
F = torch.nn.functional
pytestmark = pytest.mark.torch
DOCS = Path(__file__).parents[2] / "docs" / "do"


def tensor(values: Array) -> Any:
    return torch.from_numpy(np.array(values))


class Masked(torch.nn.Module):
    """Dropout whose mask is given."""

    mask: Any = 1.0

    def forward(self, x: Any) -> Any:
        return x * self.mask


def linear(layer: nn.Dense) -> Any:
    module = torch.nn.Linear(*layer.weight.shape, dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(tensor(layer.weight.T))
        module.bias.copy_(tensor(layer.bias))
    return module


# Softplus: above the threshold, 20 by default, PyTorch takes the straight line, which is 2e-9 off.
MODULES = {
    nn.Dense: linear,
    nn.Dropout: lambda layer: Masked(),
    nn.ReLU: lambda layer: torch.nn.ReLU(),
    nn.LeakyReLU: lambda layer: torch.nn.LeakyReLU(layer.slope),
    nn.ELU: lambda layer: torch.nn.ELU(layer.alpha),
    nn.GELU: lambda layer: torch.nn.GELU(approximate="none"),
    nn.Tanh: lambda layer: torch.nn.Tanh(),
    nn.Sigmoid: lambda layer: torch.nn.Sigmoid(),
    nn.Softplus: lambda layer: torch.nn.Softplus(threshold=100),
}

# One value a row: ours adds up likelihoods over the outputs and averages errors, hence sum or mean.
ROW_LOSSES = {
    "softmax, labels": lambda z, y: F.cross_entropy(z, y, reduction="none"),
    "softmax, labels, smoothed": lambda z, y: F.cross_entropy(
        z, y, reduction="none", label_smoothing=shared.SMOOTHING
    ),
    "softmax, probabilities": lambda z, y: F.cross_entropy(z, y, reduction="none"),
    "softmax, probabilities, smoothed": lambda z, y: F.cross_entropy(
        z, y, reduction="none", label_smoothing=shared.SMOOTHING
    ),
    "sigmoid": lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none").sum(1),
    "squared error": lambda z, y: F.mse_loss(z, y, reduction="none").mean(1),
    "Huber": lambda z, y: F.huber_loss(z, y, reduction="none", delta=shared.DELTA).mean(1),
    "quantile": lambda z, y: torch.maximum((1 - shared.Q) * (z - y), shared.Q * (y - z)).mean(1),
    "Poisson": lambda z, y: F.poisson_nll_loss(
        z, y, log_input=True, full=False, reduction="none"
    ).sum(1),
}


class TorchTraining:
    """The network and the optimizer, built by PyTorch."""

    def __init__(self, net: nn.Network, optimizer: nn.Optimizer | None = None) -> None:
        self.modules = {layer.name: MODULES[type(layer)](layer) for layer in net.layers}
        self.model = torch.nn.Sequential(*self.modules.values())
        self.linear = {k: m for k, m in self.modules.items() if isinstance(m, torch.nn.Linear)}
        self.l1, self.l2 = shared.strengths(net.penalty)
        if optimizer is not None:
            self.optimizer = self.build_optimizer(optimizer)

    def build_optimizer(self, ours: nn.Optimizer) -> Any:
        if isinstance(ours, nn.AdamW):
            decay = ours.weight_decay
        else:
            decay = convert_penalty(self.l2, source="nnreg", target="torch")
            self.l2 = 0.0
        groups = [
            {"params": [m.weight for m in self.linear.values()], "weight_decay": decay},
            {"params": [m.bias for m in self.linear.values()], "weight_decay": 0.0},
        ]
        rate = ours.learning_rate
        match ours:
            case nn.SGD():
                return torch.optim.SGD(groups, rate, momentum=ours.momentum, nesterov=ours.nesterov)
            case nn.RMSprop():
                return torch.optim.RMSprop(groups, rate, alpha=ours.rho, eps=ours.epsilon)
            case nn.Adam():
                kind = torch.optim.AdamW if isinstance(ours, nn.AdamW) else torch.optim.Adam
                return kind(groups, rate, betas=(ours.beta_1, ours.beta_2), eps=ours.epsilon)
        raise NotImplementedError(ours)

    def differentiate(self, x: Array, labels: Array, masks: dict[str, Array]) -> None:
        for name, mask in masks.items():
            self.modules[name].mask = tensor(mask)
        total = F.cross_entropy(self.model(tensor(x)), tensor(labels))
        for module in self.linear.values():
            w = module.weight
            total = total + self.l1 * w.abs().sum() + self.l2 / 2 * w.square().sum()
        self.model.zero_grad()
        total.backward()

    def step(self, x: Array, labels: Array, masks: dict[str, Array]) -> None:
        self.differentiate(x, labels, masks)
        self.optimizer.step()

    def parameters(self) -> dict[str, Array]:
        weights = {f"{k}.weight": m.weight.detach().numpy().T for k, m in self.linear.items()}
        return weights | {f"{k}.bias": m.bias.detach().numpy() for k, m in self.linear.items()}

    def gradients(self) -> dict[str, Array]:
        weights = {f"{k}.weight": m.weight.grad.numpy().T for k, m in self.linear.items()}
        return weights | {f"{k}.bias": m.bias.grad.numpy() for k, m in self.linear.items()}


@pytest.mark.parametrize("name", shared.ACTIVATIONS)
def test_activation_and_its_derivative_equal_pytorchs(name: str, rng: np.random.Generator) -> None:
    layer, cache = shared.ACTIVATIONS[name](), nn.Cache("float64")
    x = shared.activation_points(rng)
    dy = rng.normal(size=x.shape)
    their_x = tensor(x).requires_grad_()
    their_y = MODULES[type(layer)](layer)(their_x)
    their_y.backward(tensor(dy))
    shared.assert_close(their_y.detach(), layer.forward(x, cache))
    shared.assert_close(their_x.grad, layer.backward(dy, cache))


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", shared.LOSSES)
def test_loss_and_its_gradient_equal_pytorchs(
    name: str, weighted: bool, rng: np.random.Generator
) -> None:
    """PyTorch has no weights of rows: the weighted mean is written out."""
    z = rng.normal(0, 3, (shared.ROWS, shared.CLASSES))
    targets = shared.targets_of(name, rng)
    weights = rng.random(shared.ROWS) if weighted else None
    their_z = tensor(z).requires_grad_()
    rows = ROW_LOSSES[name](their_z, tensor(targets))
    w = tensor(np.ones(shared.ROWS) if weights is None else weights)
    their_value = (w * rows).sum() / w.sum()
    their_value.backward()
    value, gradient = shared.LOSSES[name](z, targets, weights)
    shared.assert_close(their_value.detach(), value)
    shared.assert_close(their_z.grad, gradient)


@pytest.mark.parametrize("penalty", shared.PENALTIES)
def test_gradient_of_the_objective_equals_autograds(penalty: str, rng: np.random.Generator) -> None:
    net = shared.network(shared.PENALTIES[penalty], keep_prob=0.75)
    theirs = TorchTraining(net)
    x, labels = shared.batch(rng)
    gradients, masks = shared.differentiate(net, x, labels)
    theirs.differentiate(x, labels, masks)
    for name, gradient in theirs.gradients().items():
        shared.assert_close(gradient, gradients[name])


ARITHMETIC = architectures.Arithmetic(
    array=tensor,
    add_up=torch.sum,
    absolute=torch.abs,
    activate=lambda layer, x: MODULES[type(layer)](layer)(x),
    row_losses=ROW_LOSSES,
)


def differentiate(
    function: Callable[[Any], Any], values: dict[str, Array]
) -> tuple[Any, dict[str, Any]]:
    leaves = {name: tensor(value).requires_grad_() for name, value in values.items()}
    result = function(leaves)
    result.backward()
    return result.detach(), {name: leaf.grad for name, leaf in leaves.items()}


@pytest.mark.parametrize("seed", architectures.SEEDS)
@pytest.mark.parametrize("loss", shared.LOSSES)
def test_gradient_of_a_random_network_equals_autograds(loss: str, seed: int) -> None:
    architectures.assert_agree(ARITHMETIC, differentiate, loss, seed)


@pytest.mark.parametrize("penalty", shared.PENALTIES)
@pytest.mark.parametrize("optimizer", shared.OPTIMIZERS)
def test_ten_steps_equal_pytorchs(optimizer: str, penalty: str) -> None:
    net = shared.network(shared.PENALTIES[penalty])
    ours = shared.OPTIMIZERS[optimizer]()
    shared.assert_ten_steps_agree(net, ours, TorchTraining(net, ours))


@pytest.mark.parametrize("optimizer", shared.OPTIMIZERS)
def test_ten_steps_with_the_same_dropout_masks_equal_pytorchs(optimizer: str) -> None:
    net = shared.network(shared.PENALTIES["L2"], keep_prob=0.75)
    ours = shared.OPTIMIZERS[optimizer]()
    shared.assert_ten_steps_agree(net, ours, TorchTraining(net, ours))


CLIPPERS = {
    "clip_norm": torch.nn.utils.clip_grad_norm_,
    "clip_value": torch.nn.utils.clip_grad_value_,
}


@pytest.mark.parametrize("limit", [1e-3, 0.5, 1e3])
@pytest.mark.parametrize("option", CLIPPERS)
def test_steps_with_clipped_gradients_equal_pytorchs(
    option: str, limit: float, rng: np.random.Generator
) -> None:
    net = shared.network(None)
    leaves = [tensor(net.parameters[name].copy()).requires_grad_() for name in net.parameters]
    theirs = torch.optim.SGD(leaves, lr=0.1, momentum=0.9)
    ours, gradients = nn.SGD(0.1, momentum=0.9, **{option: limit}), net.parameters.like()
    for _ in range(3):
        gradients.vector[:] = rng.normal(size=gradients.vector.size)
        for leaf, name in zip(leaves, gradients, strict=True):
            leaf.grad = tensor(gradients[name].copy())
        CLIPPERS[option](leaves, limit)
        theirs.step()
        ours.update(net.parameters, gradients)
    for leaf, name in zip(leaves, net.parameters, strict=True):  # PyTorch adds 1e-6 to the norm
        np.testing.assert_allclose(leaf.detach().numpy(), net.parameters[name], rtol=1e-5)


def one_step_of(kind: type, strength: float) -> tuple[Array, Array]:
    weight, bias = (tensor(v).requires_grad_() for v in (one_step.WEIGHT, one_step.BIAS))
    optimizer = kind([weight, bias], lr=one_step.RATE, weight_decay=strength)
    z = tensor(one_step.X) @ weight + bias
    F.cross_entropy(z, tensor(one_step.LABELS)).backward()
    optimizer.step()
    return weight.detach().numpy(), bias.detach().numpy()


@one_step.conventions("PyTorch")
def test_one_step_with_converted_strength_is_the_step_of_pytorch(convention: Convention) -> None:
    if convention.source == "torch":
        one_step.assert_same_step(convention, lambda s: one_step_of(torch.optim.SGD, s))
    else:
        assert convention.source == "torch-adamw"
        one_step.assert_same_effect(convention, lambda s: one_step_of(torch.optim.AdamW, s))


def test_the_script_of_the_learn_page_takes_the_steps_of_nnreg(tmp_path: Path) -> None:
    script.assert_takes_our_steps("in_pytorch.py", tmp_path)


def predict(module: Any, x: Array) -> Any:
    with torch.no_grad():
        return module.eval()(tensor(x)).numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", shared.models("float32"))
def test_network_and_sequential_predict_the_same_there_and_back(
    name: str, dtype: str, rng: np.random.Generator
) -> None:
    net = shared.models(dtype)[name]
    x = rng.normal(0, 3, (shared.ROWS, shared.INPUTS)).astype(dtype)
    state = torch.get_rng_state()
    module = interop.to_torch(net)
    assert torch.equal(torch.get_rng_state(), state)  # no initial values were drawn
    shared.assert_predictions_agree(predict(module, x), net.predict(x))
    again = interop.from_torch(module)
    assert list(map(repr, again.layers)) == list(map(repr, net.layers))
    np.testing.assert_array_equal(again.predict(x), net.predict(x))
    filled = nn.Network([layer.clone() for layer in net.layers], inputs=net.inputs, dtype=dtype)
    interop.load_state_dict(filled, module.state_dict())
    np.testing.assert_array_equal(filled.parameters.vector, net.parameters.vector)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    np.testing.assert_array_equal(again.predict(x), net.predict(x))  # they share no memory


def test_module_is_trained_like_the_network(rng: np.random.Generator) -> None:
    net = shared.models("float64")["Tanh"]
    module = interop.to_torch(net).train()
    x, labels = shared.batch(rng)
    F.cross_entropy(module(tensor(x)), tensor(labels)).backward()
    gradients, _ = shared.differentiate(net, x, labels)
    shared.assert_close(module[0].weight.grad.T, gradients["dense_1.weight"])
    shared.assert_close(module[2].bias.grad, gradients["dense_2.bias"])


class Hooked(torch.nn.Sequential):
    def forward(self, x: Any) -> Any:
        return 2 * super().forward(x)


def pruned() -> Any:
    module = torch.nn.Sequential(torch.nn.Linear(4, 3))
    prune.random_unstructured(module[0], "weight", 0.5)
    return module


LINEAR = torch.nn.Linear(4, 3)
REFUSED = {
    "attention": (
        torch.nn.Sequential(LINEAR, torch.nn.SELU()),
        r"'1'.*SELU\(\), which has no equal",
    ),
    "nested": (torch.nn.Sequential(torch.nn.Sequential(torch.nn.CELU())), "'0.0'"),
    "softmax": (torch.nn.Sequential(LINEAR, torch.nn.Softmax(1)), "raw: leave it out"),
    "other GELU": (torch.nn.Sequential(LINEAR, torch.nn.GELU("tanh")), "exact GELU only"),
    "other Softplus": (torch.nn.Sequential(LINEAR, torch.nn.Softplus(2)), "beta=1 only"),
    "other slope": (torch.nn.Sequential(LINEAR, torch.nn.LeakyReLU(1.5)), "slope must be"),
    "all dropped": (torch.nn.Sequential(LINEAR, torch.nn.Dropout(1.0)), "keep_prob must be"),
    "other Flatten": (torch.nn.Sequential(torch.nn.Flatten(0), LINEAR), "rows"),
    "no layer": (torch.nn.Sequential(torch.nn.ReLU()), "must have a torch.nn.Linear"),
    "half": (torch.nn.Sequential(torch.nn.Linear(4, 3)).half(), "float16"),
    "bfloat16": (torch.nn.Sequential(torch.nn.Linear(4, 3)).bfloat16(), "bfloat16"),
    "pruned": (pruned(), "hooks"),
}


@pytest.mark.parametrize(("module", "message"), REFUSED.values(), ids=REFUSED)
def test_part_of_a_module_without_equal_is_refused(module: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interop.from_torch(module)


@pytest.mark.parametrize("module", [LINEAR, Hooked(LINEAR), torch.nn.ReLU, {"0.weight": 1}])
def test_anything_but_a_sequential_is_refused(module: Any) -> None:
    with pytest.raises(TypeError, match=r"load_state_dict\(net, state_dict\)"):
        interop.from_torch(module)


def test_nested_and_repeated_parts_of_a_module_are_converted(rng: np.random.Generator) -> None:
    part, act = torch.nn.Sequential, torch.nn.ReLU()
    module = part(
        torch.nn.Flatten(), part(torch.nn.Linear(4, 4), act, torch.nn.Identity()), LINEAR, act
    )
    x = rng.normal(size=(5, 4)).astype("float32")
    shared.assert_predictions_agree(predict(module, x), interop.from_torch(module).predict(x))


@pytest.mark.slow
def test_files_written_here_and_there_have_the_weights_in_the_other(tmp_path: Path) -> None:
    """There: in a process without nnreg, by the script of the page on conversions."""
    layers = [nn.Dense(32), nn.ReLU(), nn.Dropout(keep_prob=0.8), nn.Dense(10)]
    net, new = (nn.Network([k.clone() for k in layers], inputs=64, seed=seed) for seed in (1, 2))
    interop.save_state_dict(net, tmp_path / "digits.safetensors")
    code = (
        (DOCS / "from_nnreg_to_torch.py").read_text(encoding="utf-8")
        + """
import numpy, safetensors.torch
numpy.save("y", module.eval()(torch.ones(1, 64)).detach().numpy())
state = {f"net.fc{name}": value for name, value in module.state_dict().items()}
safetensors.torch.save_file(state, "theirs.safetensors")
"""
    )
    shared.run_without_nnreg(code, tmp_path)
    ours = net.predict(np.ones((1, 64)))
    shared.assert_predictions_agree(np.load(tmp_path / "y.npy"), ours)
    interop.load_state_dict(new, tmp_path / "theirs.safetensors")
    np.testing.assert_array_equal(new.parameters.vector, net.parameters.vector)


def test_the_other_script_of_the_page_converts_there_and_back() -> None:
    script = runpy.run_path(str(DOCS / "torch_in_memory.py"))
    assert repr(script["again"]) == repr(script["net"])


def test_a_program_of_the_playground_computes_the_loss_of_the_run() -> None:
    shared.compare_playground_program("torch")
