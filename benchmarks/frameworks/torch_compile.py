"""PyTorch with ``torch.compile`` around model and loss; the optimizer is fused already."""

from __future__ import annotations

import torch

from benchmarks.frameworks.torch_eager import TorchEager
from benchmarks.problem import Problem


class TorchCompile(TorchEager):
    """The eager loop, with forward and backward pass compiled."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        torch.compiler.reset()  # or problem after problem counts as one function's recompilations
        self.data_loss = torch.compile(self.data_loss, dynamic=False)
