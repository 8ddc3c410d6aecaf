"""The playground's session: the messages with which a page controls a run and shows it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg.lab.settings import OPTIMIZERS
from nnreg.playground.pictures import check_want, draw, encode, make_box, show_stage, show_update
from nnreg.playground.presets import PRESETS
from nnreg.playground.programs import write_program
from nnreg.playground.settings import CHOICES, DEFAULTS, LIMITS, Settings, check
from nnreg.playground.training import MAX_CHANGES, Training
from nnreg.tracing import Stage, Trace, explain

MAX_STEPS = 10_000  # of one message
SHOWN_ROWS = 200  # of data with many inputs
MAX_CHECK = 50_000  # parameters times rows of a step whose gradients are checked
UNCHECKED = (
    "The gradients are not checked: {parameters:,} parameters times {rows:,} rows are more than "
    "{most:,}, which would take long. Choose a smaller batch."
)
REPEATING = ("hello", "play", "state", "reset", "preset", "restore")  # accepted in a repetition
PHASES = ("forward", "loss", "backward", "penalty", "update")

Reply = dict[str, Any]


class Session:
    """What one page controls.

    Examples
    --------
    >>> session = Session()
    >>> reply = session.handle({"do": "play", "steps": 30})
    >>> reply["status"]["step"], reply["status"]["epoch"]
    (30, 3)
    >>> session.handle({"do": "set", "knobs": {"l2": -1}})["error"]["message"]
    'l2 must be a number in [0, 1000], got -1'
    """

    def __init__(self) -> None:
        self._start(Training(check({})))

    def _start(self, training: Training) -> None:
        self.training = training
        self._phase = 0
        self._trace: Trace | None = None

    def handle(self, message: Any) -> Reply:
        """Return the reply to a message; if the message is wrong, the reply is an ``error``."""
        try:
            validation.instance("a message", message, dict, "an object")
            names = [name.removeprefix("_do_") for name in dir(self) if name.startswith("_do_")]
            do = validation.one_of("do", message.get("do"), names)
            if do in ("set", "play", "batch", "epoch"):
                self._phase = 0  # phases that are open are left
            if self.training.target is not None and do not in REPEATING:
                left = self.training.target - self.training.steps
                raise ValueError(f"the run is being repeated, {left:,} steps are left: play first")
            want = check_want(message.get("want", {}))
            reply: Reply = getattr(self, "_do_" + do)(message)
            if want:
                reply["pictures"] = draw(self.training, want)
            reply["status"] = self._status()
        except (ValueError, TypeError) as error:
            return {"error": {"message": str(error)}}
        finite: Reply = _finite(reply)
        return finite

    def _do_hello(self, message: Settings) -> Reply:
        rates = {name: rate for name, (_, rate) in OPTIMIZERS.items()}
        choices = {**CHOICES, "rates": rates, "limits": LIMITS, "defaults": DEFAULTS}
        return {"choices": choices, "presets": PRESETS, **self._describe()}

    def _describe(self) -> Reply:
        """Return the settings, the data and the network."""
        data, net = self.training.data, self.training.main.net
        shown = slice(None if net.inputs <= 2 else SHOWN_ROWS)
        parts: dict[str, Any] = {
            part: {"x": encode(x[shown]), "y": encode(y[shown])}
            for part, x, y in (("train", data.x, data.y), ("val", data.x_val, data.y_val))
        }
        parts["train"]["wrong"] = data.wrong
        parameters = [
            {"name": name, "shape": list(view.shape), "start": net.parameters.slices[name].start}
            for name, view in net.parameters.items()
        ]
        units = [layer["units"] for layer in self.training.settings["layers"]]
        return {
            "settings": self.training.settings,
            "data": {
                "inputs": net.inputs,
                "outputs": data.outputs,
                "classes": data.classes,
                "regression": not data.classes,
                "names": data.names,
                "relevant": data.relevant,
                "box": make_box(data).tolist() if net.inputs <= 2 else None,
                **parts,
            },
            "layout": {
                "widths": [net.inputs, *units, data.outputs],
                "parameters": parameters,
                "size": net.parameters.vector.size,
                "loss": repr(self.training.main.loss),
            },
        }

    def _do_set(self, message: Settings) -> Reply:
        training = self.training
        knobs = validation.instance("knobs", message.get("knobs"), dict, "an object")
        changed = training.check_change(knobs, training.settings)
        if changed is None:
            self._start(Training(check({**training.settings, **knobs})))
            return {"reset": True, **self._describe()}
        if len(training.changes) == MAX_CHANGES:
            raise ValueError(f"a run has at most {MAX_CHANGES:,} changes: reset it")
        if changed:
            training.change(changed)
        return {"settings": training.settings}

    def _do_play(self, message: Settings) -> Reply:
        steps = validation.whole("steps", message.get("steps", 1), 0, MAX_STEPS)
        ms = validation.number("ms", message.get("ms", 60_000), 0, 60_000)
        self.training.train(steps, ms / 1000)
        return {}

    def _do_batch(self, message: Settings) -> Reply:
        self.training.train(1)
        return {}

    def _do_epoch(self, message: Settings) -> Reply:
        self.training.train(self.training.steps_to_epoch)
        return {}

    def _do_phase(self, message: Settings) -> Reply:
        training, run = self.training, self.training.main
        if training.stopped:
            raise ValueError(f"training has ended: {training.stopped['message']}")
        if not self._phase or self._trace is None:
            rows = training.next_rows()
            self._rows = rows.tolist()
            x, y = training.data.x[rows], training.data.y[rows]
            size = run.net.parameters.vector.size
            checked = size * len(rows) <= MAX_CHECK
            self._trace = explain(run.net, x, y, run.loss, check=checked)
            if not checked:
                text = UNCHECKED.format(parameters=size, rows=len(rows), most=MAX_CHECK)
                self._trace["backward", "loss"].notes.append(text)
        trace, name = self._trace, PHASES[self._phase]
        if name == "update":
            before = run.net.parameters.copy()
            training.train(1)
            stages = [] if training.stopped else [show_update(run, before)]
        else:
            stages = [show_stage(stage) for stage in trace.stages if _phase_of(stage) == name]
        number = self._phase = self._phase + 1
        self._phase %= len(PHASES)
        figures = {key: getattr(trace, key) for key in ("step", "data_loss", "penalty", "total")}
        phase = {"name": name, "number": number, "of": len(PHASES), **figures}
        return {"phase": {**phase, "rows": self._rows, "stages": stages}}

    def _do_reset(self, message: Settings) -> Reply:
        self._start(Training(self.training.settings))
        return self._do_hello(message)

    def _do_preset(self, message: Settings) -> Reply:
        name = validation.one_of("name", message.get("name"), PRESETS)
        self._start(Training(check(PRESETS[name]["settings"])))
        return {**self._do_hello(message), "preset": {"name": name, **PRESETS[name]}}

    def _do_state(self, message: Settings) -> Reply:
        return {"state": self.training.state}

    def _do_restore(self, message: Settings) -> Reply:
        self._start(Training.repeat(message.get("state")))
        return self._do_hello(message)

    def _do_judge(self, message: Settings) -> Reply:
        return {"verdict": self.training.judge(more=True)}

    def _do_export(self, message: Settings) -> Reply:
        return write_program(self.training, message.get("what"))

    def _status(self) -> Reply:
        training = self.training
        accuracy, val_accuracy = training.main.measure_accuracy()
        names = ("train", "val", "penalty")
        main, *twins = (
            {**dict(zip(names, row, strict=False)), "total": row[0] + row[2], "zeros": run.zeros}
            for run, row in zip(training.runs, training.figures, strict=True)
        )
        left = 0 if training.target is None else training.target - training.steps
        return {
            "step": training.steps,
            "epoch": training.epoch,
            "batch_loss": training.batch_loss,
            **main,
            "train_accuracy": accuracy,
            "val_accuracy": val_accuracy,
            "weights": training.main.net.parameters.weights.size,
            "replaying": left,
            "stopped": training.stopped,
            "steps_per_second": training.speed,
            **({"twin": twins[0]} if twins else {}),
        }


def _phase_of(stage: Stage) -> str:
    """Return the phase that a stage belongs to."""
    if stage.name == "penalty":
        return "loss" if stage.part == "forward" else "penalty"
    return "loss" if (stage.part, stage.name) == ("forward", "loss") else stage.part


def _finite(value: Any) -> Any:
    """Return a reply with None for every number that JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
