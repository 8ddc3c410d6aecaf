"""Presets: lessons of the playground, as settings with which they can be seen.

The tests hold what each preset shows. The texts of the lessons are part of the page.
"""

from __future__ import annotations

from typing import Any

_FEW: dict[str, Any] = {"rows": 40, "noise": 0.3, "label_noise": 0.15, "learning_rate": 0.02}
_WIDE: list[dict[str, Any]] = [{"units": 16}, {"units": 16}]
_DROPOUT = [{"units": 16, "keep_prob": 0.7}, {"units": 16, "keep_prob": 0.7}]

CURES: dict[str, dict[str, Any]] = {
    "l2": {"l2": 0.01},
    "l1": {"l1": 0.006, "l1_method": "proximal"},
    "dropout": {"layers": _DROPOUT},
    "early-stopping": {"patience": 20},
}
"""What reduces the validation loss of the network of the preset ``overfit``."""

PRESETS: dict[str, dict[str, Any]] = {
    "overfit": {"settings": {**_FEW, "layers": _WIDE}, "steps": 600, "cures": CURES},
    **{
        name: {"settings": {**_FEW, "layers": _WIDE, **cure}, "steps": 600, "cures": {}}
        for name, cure in CURES.items()
    },
    "dead-relus": {
        "settings": {"data": "rings", "optimizer": "sgd", "learning_rate": 3.0},
        "steps": 100,
        "cures": {"slower": {"learning_rate": 0.1}},
    },
    "divergence": {
        "settings": {"data": "sine", "optimizer": "sgd", "learning_rate": 10.0},
        "steps": 100,
        "cures": {"slower": {"learning_rate": 0.05}},
    },
    "strong-penalty": {
        "settings": {"data": "rings", "l2": 0.1},
        "steps": 500,
        "cures": {"weaker": {"l2": 0.003}},
    },
    "selection": {
        "settings": {
            "data": "sparse",
            "noise": 0.3,
            "layers": [],
            "batch_size": 50,
            "l1": 0.2,
            "l1_method": "proximal",
            "compare": True,
        },
        "steps": 500,
        "cures": {"l2": {"l1": 0.0, "l2": 0.2}},
    },
}
"""By name: the settings that differ from the defaults, the steps that show the lesson, and the
changes that cure it, or that show the contrast."""
