"""PyTorch."""

import torch

from benchmarks.jobs.shared import BATCH, HIDDEN, KEEP, L2, Report, load

(x, y), (x_test, y_test) = load()
x, y, x_test = torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(x_test)
net = torch.nn.Sequential(
    torch.nn.Linear(784, HIDDEN),
    torch.nn.ReLU(),
    torch.nn.Dropout(1 - KEEP),
    torch.nn.Linear(HIDDEN, 10),
)
weights = [p for p in net.parameters() if p.ndim == 2]
biases = [p for p in net.parameters() if p.ndim == 1]
groups = [{"params": weights, "weight_decay": L2}, {"params": biases}]
optimizer = torch.optim.Adam(groups, fused=True)
for rows in torch.randperm(len(x)).split(BATCH):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
    optimizer.step()
report = Report()
net.eval()
with torch.inference_mode():
    report.print_accuracy(net(x_test).argmax(dim=1).numpy(), y_test)
