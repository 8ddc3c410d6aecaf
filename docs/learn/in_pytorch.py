"""The digits network in PyTorch: reads tasks from files and writes the parameters of each step."""

import sys

import numpy as np
import torch

from nnreg import convert_penalty


def train(task):
    """Yield all parameters after every step, in the order of nnreg's vector."""
    first, second = torch.nn.Linear(64, 32), torch.nn.Linear(32, 10)
    model = torch.nn.Sequential(first, torch.nn.ReLU(), second).double()
    with torch.no_grad():
        for layer, w, b in ((first, "w1", "b1"), (second, "w2", "b2")):
            layer.weight.copy_(torch.from_numpy(task[w].T))
            layer.bias.copy_(torch.from_numpy(task[b]))
    decay = convert_penalty(float(task["l2"]), source="nnreg", target="torch")
    optimizer = torch.optim.SGD(
        [
            {"params": [first.weight, second.weight], "weight_decay": decay},
            {"params": [first.bias, second.bias], "weight_decay": 0.0},
        ],
        lr=float(task["rate"]),
        momentum=float(task["momentum"]),
    )
    x, y = torch.from_numpy(task["x"]), torch.from_numpy(task["y"])
    for rows in task["batches"]:
        loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
        l1 = first.weight.abs().sum() + second.weight.abs().sum()
        optimizer.zero_grad()
        (loss + float(task["l1"]) * l1).backward()
        optimizer.step()
        w1, w2 = first.weight.detach().numpy().T, second.weight.detach().numpy().T
        biases = first.bias.detach().numpy(), second.bias.detach().numpy()
        yield np.concatenate([w1.ravel(), w2.ravel(), *biases])


if __name__ == "__main__":
    by = f"PyTorch {torch.__version__}"
    for file in sys.argv[1:]:
        steps = np.array([*train(dict(np.load(file)))])
        np.savez(file + ".steps.npz", steps=steps, by=by)
