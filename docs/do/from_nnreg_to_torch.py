"""Build the network in PyTorch with the weights and the penalty of nnreg, to train it there."""

import torch
from safetensors.torch import load_file

module = torch.nn.Sequential(
    torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(32, 10)
)
module.load_state_dict(load_file("digits.safetensors"))
parameters = dict(module.named_parameters())
optimizer = torch.optim.Adam(
    [
        {"params": parameters["0.weight"], "weight_decay": 1e-3},
        {"params": parameters["3.weight"], "weight_decay": 1e-3},
        {"params": [parameters["0.bias"], parameters["3.bias"]]},
    ],
    lr=3e-3,
)
