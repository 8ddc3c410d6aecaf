"""PyTorch, eager: ``nn.Sequential``, autograd, the fused optimizer.

``weight_decay`` is our L2 in these optimizers, with biases in a group of their own. L1 is added to
the gradients in place, which is cheaper than sending it through autograd.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.frameworks.stepwise import Stepwise
from benchmarks.problem import BETA_1, BETA_2, MASKS, Array, Problem

F = torch.nn.functional


class Given(torch.nn.Module):
    """Dropout whose masks are given, and taken in turn."""

    def __init__(self, masks: Array) -> None:
        super().__init__()
        self.masks, self.turn = torch.from_numpy(masks), 0

    def forward(self, x: Any) -> Any:
        """Return ``x·m``."""
        mask = self.masks[self.turn % MASKS]
        self.turn += 1
        return x * mask


class TorchEager(Stepwise):
    """The loop that every tutorial has."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        x, y = problem.data()
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        self.batches = torch.from_numpy(problem.order()).split(problem.batch)
        self.count = 0
        self.linear: list[Any] = []
        modules: list[Any] = []
        given = problem.masks() if problem.drops and problem.given_masks else None
        for index, (w, b) in enumerate(problem.weights()):
            layer = torch.nn.Linear(*w.shape, dtype=getattr(torch, problem.dtype))
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(w.T))
                layer.bias.copy_(torch.from_numpy(b))
            self.linear.append(layer)
            modules.append(layer)
            if index < len(problem.hidden):
                modules.append(torch.nn.ReLU())
                if given is not None:
                    modules.append(Given(given[index]))
                elif problem.drops:
                    modules.append(torch.nn.Dropout(1 - problem.keep))
        self.model = torch.nn.Sequential(*modules)
        self.optimizer = self.build_optimizer()

    def build_optimizer(self) -> Any:
        """Return the fused optimizer of the problem."""
        problem = self.problem
        groups = [
            {"params": [layer.weight for layer in self.linear], "weight_decay": problem.l2},
            {"params": [layer.bias for layer in self.linear], "weight_decay": 0.0},
        ]
        if problem.optimizer == "adam":
            betas = (BETA_1, BETA_2)
            return torch.optim.Adam(
                groups, problem.rate, betas=betas, eps=problem.epsilon, fused=True
            )
        return torch.optim.SGD(groups, problem.rate, momentum=problem.momentum, fused=True)

    def data_loss(self, x: Any, y: Any) -> Any:
        """Return the loss of a batch."""
        return F.cross_entropy(self.model(x), y)

    def step(self) -> Any:
        """Gather, differentiate, update."""
        rows = self.batches[self.count % len(self.batches)]
        self.count += 1
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.data_loss(self.x.index_select(0, rows), self.y.index_select(0, rows))
        loss.backward()
        if self.problem.l1:
            weights = [layer.weight for layer in self.linear]
            torch._foreach_add_(
                [w.grad for w in weights],
                torch._foreach_sign([w.detach() for w in weights]),
                alpha=self.problem.l1,
            )
        self.optimizer.step()
        return loss.detach()

    def parameters(self) -> list[Array]:
        """Return them layer by layer, weights as (inputs, outputs)."""
        return [
            values
            for layer in self.linear
            for values in (layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy())
        ]
