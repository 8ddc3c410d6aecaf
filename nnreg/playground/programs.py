"""Programs that repeat a run of the playground outside it: with nnreg, Keras or PyTorch.

The program for nnreg computes the same parameters to the bit, changes of settings included. Those
for Keras and PyTorch begin with the same data and initial weights, take the rows in the same order,
and use the last settings from the first step on; their dropout masks differ.
"""

from __future__ import annotations

import base64
import os
import re
import tempfile
from typing import Any

from nnreg._support import validation
from nnreg.checkpoint import save
from nnreg.penalties import L1, L2
from nnreg.playground.settings import (
    GENERATORS,
    MAX_VALIDATION_ROWS,
    TEST_SHARE,
    VALIDATION_ROWS,
    Settings,
    make_layers,
    make_optimizer,
    make_rules,
)
from nnreg.playground.training import UNREGULARIZED, Training


def write_program(training: Training, what: Any) -> dict[str, str]:
    """Return the text and the name of a program, or a file of the weights as base64.

    Parameters
    ----------
    training : Training
    what : {"nnreg", "keras", "torch", "weights"}
    """
    programs = {"nnreg": _nnreg, "keras": _keras, "torch": _torch}
    what = validation.one_of("what", what, [*programs, "weights"])
    if what == "weights":
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.npz")
            save(training.main.net, path)
            with open(path, "rb") as file:
                content = base64.b64encode(file.read()).decode()
        return {"file": "model.npz", "base64": content}
    return {"file": f"playground_{what}.py", "text": programs[what](training)}


def _source(value: Any) -> str:
    """Return the expression that makes an object, with the prefix ``nn.``.

    >>> from nnreg.penalties import L2
    >>> _source(L2(0.1)), _source("inherit")
    ('nn.L2(strength=0.1)', "'inherit'")
    """
    return re.sub(r"\b([A-Z]\w*)\(", r"nn.\1(", repr(value))


def _data(settings: Settings, classes: int) -> str:
    """Return the lines that make the data."""
    kind, rows, seed = settings["data"], settings["rows"], settings["data_seed"]
    label_noise = settings["label_noise"] if classes else 0
    if kind == "digits":
        text = "(x, y), (x_val, y_val) = nn.datasets.load_digits()\n"
        text += f"x, y, x_val = x[:{rows}].astype(float), y[:{rows}], x_val.astype(float)"
    elif kind == "points":
        text = f"points = np.array({settings['points']})\n"
        text += "x, y, held_out = points[:, :2], points[:, 2].astype(int), "
        text += "np.arange(len(points)) % 3 == 2\n"
        text += "x, x_val, y, y_val = x[~held_out], x[held_out], y[~held_out], y[held_out]"
    elif kind == "csv":
        regression = settings["regression"]
        groups = "np.zeros(len(table.y), int)" if regression else "table.y"
        text = f'table = nn.datasets.read_csv("data.csv", regression={regression})\n'
        text += f"rows, held_out = nn.datasets.split_rows(\n    {groups}, test_size={TEST_SHARE}, "
        text += f"seed={seed}\n)\nheld_out = held_out[:{MAX_VALIDATION_ROWS}]\n"
        text += "scale = nnreg.lab.preprocessing.Standardization.of(table.x[rows])"
        text += "\nx, x_val = scale.apply(table.x[rows]), scale.apply(table.x[held_out])\n"
        text += "y, y_val = table.y[rows], table.y[held_out]\n"
        if regression:
            text += "mean, std = y.mean(axis=0), y.std(axis=0)\n"
            text += "y, y_val = (y - mean) / std, (y_val - mean) / std\n"
        text = f"import nnreg.lab.preprocessing\n\n{text}x, y = x[:{rows}], y[:{rows}]"
    else:
        name, options = GENERATORS[kind]
        options = {**options, "noise": settings["noise"], "seed": seed}
        arguments = ", ".join(f"{key}={value}" for key, value in options.items())
        text = f"x, y, *_ = nn.datasets.{name}({rows + VALIDATION_ROWS}, {arguments})\n"
        text += f"x, x_val, y, y_val = x[:{rows}], x[{rows}:], y[:{rows}], y[{rows}:]"
    if label_noise:
        text += f"\ny, wrong = nn.datasets.flip_labels(y, {label_noise}, "
        text += f"classes={classes}, seed={seed})"
    return text


def _network(training: Training, settings: Settings) -> str:
    """Return the lines that make the network, with the rules of these settings."""
    rules = make_rules(settings)
    layers = make_layers(settings, training.data.outputs)
    for place, value in rules.items():
        if place.startswith("net.layers"):
            number, _, name = place.removeprefix("net.layers[").partition("].")
            setattr(layers[int(number)], name, value)
    lines = "".join(f"        {_source(layer)},\n" for layer in layers)
    for usual in (", constraint='inherit', initializer=None, bias=True", ", penalty='inherit'"):
        lines = lines.replace(usual, "")
    return f"""\
net = nn.Network(
    [
{lines}    ],
    inputs={training.main.net.inputs},
    penalty={_source(rules["net.penalty"])},
    constraint={_source(rules["net.constraint"])},
    seed={settings["seed"]},
    dtype="float64",
)
"""


def _changes(training: Training) -> tuple[str, str]:
    """Return the lines of the changes at step 0, and the cases of those at later steps."""
    now, first, cases = training.initial, "", ""
    for step, knobs in training.changes:
        new = {**now, **knobs}
        old, rules = (make_rules(settings) for settings in (now, new))
        lines = [f"batch_size = {new['batch_size']}"] * (new["batch_size"] != now["batch_size"])
        if new["optimizer"] != now["optimizer"]:
            lines.append(f"optimizer = {_source(make_optimizer(new))}")
        lines += [
            f"{place} = {_source(value)}"
            for place, value in rules.items()
            if repr(old[place]) != repr(value)
        ]
        if weight := knobs.get("weight"):
            lines.append(f"net.parameters.vector[{weight[0]}] = {weight[1]}")
        if not step:
            first += "".join(f"{line}\n" for line in lines)
        elif lines:
            cases += f"            case {step}:\n"
            cases += "".join(f"                {line}\n" for line in lines)
        now = new
    return first, cases and f"        match net.steps:\n{cases}"


def _program(training: Training, imports: str, settings: Settings, model: str, step: str) -> str:
    """Return a program that makes the data and a network, and repeats the steps."""
    steps, note = training.steps, ""
    if training.stopped and "best_step" in training.stopped:
        steps, note = training.stopped["best_step"], "  # of the best epoch, by early stopping"
    text = f"""\
{imports}import nnreg as nn

{_data(settings, len(training.data.classes))}

{_network(training, settings)}{model}
batch_size, steps = {settings["batch_size"]}, {steps}{note}
FIRST
while net.steps < steps:
    for rows in nn.batches(len(x), batch_size, net):
{step}\
        if net.steps == steps:
            break
"""
    return f"import numpy as np\n{text}" if "np." in text else text


def _nnreg(training: Training) -> str:
    settings = training.initial
    first, cases = _changes(training)
    model = f"""\
loss = {_source(training.main.loss)}
optimizer = {_source(make_optimizer(settings))}"""
    step = f"""\
        outputs, cache = net.forward(x[rows], training=True)
        data_loss, doutputs = loss(outputs, y[rows])
        gradients = net.backward(doutputs, cache)
        net.add_penalty_gradient(gradients)
        optimizer.update(net.parameters, gradients)
        net.apply_proximal(optimizer.step_size)
{cases}"""
    text = _program(training, "", settings, model, step).replace("FIRST\n", first and first + "\n")
    return f"""{text}
print(nn.evaluate(net, x, y, loss=loss), nn.evaluate(net, x_val, y_val, loss=loss))
"""


# --- Keras and PyTorch ----------------------------------------------------------------------------


def _caveats(training: Training) -> str:
    settings = training.settings
    applies = {
        "the settings were changed during the run, here the last ones are used": training.changes,
        "the dropout masks differ": any(layer["keep_prob"] < 1 for layer in settings["layers"]),
        "L1 is a subgradient here, which gives no exact zeros": settings["l1"]
        and settings["l1_method"] == "proximal",
    }
    texts = "".join(f"#   {text}\n" for text, condition in applies.items() if condition)
    return texts and f"# Differences from the run in nnreg:\n{texts}"


OPTIMIZERS = {  # the arguments in Keras, and in PyTorch
    "sgd": ("SGD", "", ""),
    "momentum": ("SGD", ", momentum=0.9", ", momentum=0.9"),
    "nesterov": ("SGD", ", momentum=0.9, nesterov=True", ", momentum=0.9, nesterov=True"),
    "rmsprop": ("RMSprop", ", rho=0.9, epsilon=1e-8", ", alpha=0.9, eps=1e-8"),
    "adam": ("Adam", ", epsilon=1e-8", ""),
}


def _keras(training: Training) -> str:
    settings, (name, options, _) = training.settings, OPTIMIZERS[training.settings["optimizer"]]
    classes = bool(training.data.classes)
    loss = "SparseCategoricalCrossentropy(from_logits=True)" if classes else "MeanSquaredError()"
    model = f"""
keras.config.set_floatx("float64")
save_keras(net, "model.keras", overwrite=True)  # layers, initial weights, penalties, constraints
model = keras.saving.load_model("model.keras", compile=False)
model.compile(
    optimizer=keras.optimizers.{name}({settings["learning_rate"]}{options}),
    loss=keras.losses.{loss},
)
model.summary()"""
    step = """\
        model.train_on_batch(x[rows], y[rows])
        net.steps += 1
"""
    imports = "import keras\n\nfrom nnreg.interop import save_keras\n"
    text = _program(training, imports, settings, model, step).replace("FIRST\n", "")
    return f"{_caveats(training)}{text}\nprint(model.evaluate(x_val, y_val, verbose=0))\n"


def _torch(training: Training) -> str:
    settings, (name, _, options) = training.settings, OPTIMIZERS[training.settings["optimizer"]]
    rules = training.main.net.regularization
    terms = []
    for number in range(len(settings["layers"]) + 1):
        penalty = rules.penalty_of(f"dense_{number + 1}.weight")
        l1, l2 = getattr(penalty, "l1", 0), getattr(penalty, "l2", 0)
        l1 = penalty.strength if isinstance(penalty, L1) else l1
        l2 = penalty.strength if isinstance(penalty, L2) else l2
        terms += [f"{l1} * w[{number}].abs().sum()"] * bool(l1)
        terms += [f"{l2 / 2} * w[{number}].square().sum()"] * bool(l2)
    penalty = "".join(f"        value = value + {term}\n" for term in terms)
    limit = f"""\
        with torch.no_grad():
            for weight in w:
                weight.copy_(torch.renorm(weight, 2, 0, {settings["max_norm"]}))
"""
    model = f"""
model = to_torch(net)  # torch.nn.Sequential, with the same initial weights
print(model)
w = [layer.weight for layer in model if isinstance(layer, torch.nn.Linear)]
loss = torch.nn.{"CrossEntropyLoss" if training.data.classes else "MSELoss"}()
optimizer = torch.optim.{name}(model.parameters(), {settings["learning_rate"]}{options})
x, y, x_val, y_val = (torch.from_numpy(part) for part in (x, y, x_val, y_val))"""
    step = f"""\
        value = loss(model(x[rows]), y[rows])
{penalty}        optimizer.zero_grad()
        value.backward()
        optimizer.step()
{limit if settings["max_norm"] else ""}        net.steps += 1
"""
    layers = [{**layer, "penalty": None} for layer in settings["layers"]]
    plain = {**settings, **UNREGULARIZED, "layers": layers}  # PyTorch has penalties in the loss
    imports = "import torch\n\nfrom nnreg.interop import to_torch\n"
    text = _program(training, imports, plain, model, step).replace("FIRST\n", "")
    return f"{_caveats(training)}{text}\nmodel.eval()\nprint(loss(model(x_val), y_val).item())\n"
