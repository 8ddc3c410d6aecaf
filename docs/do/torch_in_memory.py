"""Convert a network to a module of PyTorch and back, without a file."""

import nnreg as nn
from nnreg.interop import from_torch, to_torch

net = nn.Network([nn.Dense(32), nn.ReLU(), nn.Dropout(keep_prob=0.8), nn.Dense(10)], inputs=64)
module = to_torch(net)
again = from_torch(module)
