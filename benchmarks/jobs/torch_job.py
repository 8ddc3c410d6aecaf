"""PyTorch."""

import torch

from benchmarks.jobs.shared import load, train

job, seed, (x, y), (x_test, y_test) = load()
torch.manual_seed(seed)
x, y, x_test = torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(x_test)
net = torch.nn.Sequential(
    torch.nn.Linear(784, job.hidden),
    torch.nn.ReLU(),
    torch.nn.Dropout(1 - job.keep),
    torch.nn.Linear(job.hidden, 10),
)
weights = [p for p in net.parameters() if p.ndim == 2]
biases = [p for p in net.parameters() if p.ndim == 1]
groups = [{"params": weights, "weight_decay": job.l2}, {"params": biases}]
optimizer = torch.optim.Adam(groups, fused=True)


def train_epoch() -> None:
    """Train for one epoch."""
    net.train()
    for rows in torch.randperm(len(x)).split(job.batch):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()


def predict_classes() -> torch.Tensor:
    """Return the classes of the test images."""
    net.eval()
    with torch.inference_mode():
        return net(x_test).argmax(dim=1).numpy()


train(job, train_epoch, predict_classes, y_test)
