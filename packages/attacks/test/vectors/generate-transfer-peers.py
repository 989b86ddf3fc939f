"""Points that torchattacks finds with its transfer attacks on a small network. Run: python generate-transfer-peers.py

torchattacks 3.5.1, PyTorch (CPU), float32; writes transfer-peers.json beside this file.
"""

import json
from pathlib import Path

import torch
import torchattacks
from torch import nn

torch.manual_seed(7)
model = nn.Sequential(nn.Flatten(), nn.Linear(120, 10), nn.Tanh(), nn.Linear(10, 4))
# Far from the bounds: torchattacks does not clip the look-ahead.
inputs = 0.4 + 0.2 * torch.rand(4, 3, 8, 5)
with torch.no_grad():
    for layer in (model[1], model[3]):
        layer.weight.mul_(2)
labels = model(inputs).argmax(1)

attacks = {
    "momentum": torchattacks.MIFGSM(model, eps=0.1, alpha=0.02, steps=8, decay=1.0),
    "momentum, decay 0.5": torchattacks.MIFGSM(model, eps=0.05, alpha=0.01, steps=8, decay=0.5),
    "nesterov": torchattacks.NIFGSM(model, eps=0.1, alpha=0.01, steps=10, decay=1.0),
    "scales and nesterov": torchattacks.SINIFGSM(model, eps=0.1, alpha=0.01, steps=10, decay=1.0, m=5),
    "translation, gaussian 5": torchattacks.TIFGSM(
        model, eps=0.1, alpha=0.01, steps=10, decay=1.0, kernel_name="gaussian", len_kernel=5, nsig=3, diversity_prob=0.0
    ),
    "translation, uniform 3": torchattacks.TIFGSM(
        model, eps=0.1, alpha=0.01, steps=10, decay=1.0, kernel_name="uniform", len_kernel=3, diversity_prob=0.0
    ),
}
out = {
    "versions": {"torch": torch.__version__, "torchattacks": torchattacks.__version__},
    "weights": {
        "W1": model[1].weight.tolist(),
        "b1": model[1].bias.tolist(),
        "W2": model[3].weight.tolist(),
        "b2": model[3].bias.tolist(),
    },
    "inputs": inputs.flatten(1).tolist(),
    "labels": labels.tolist(),
    "cases": {name: attack(inputs, labels).flatten(1).tolist() for name, attack in attacks.items()},
}
path = Path(__file__).with_name("transfer-peers.json")
path.write_text(json.dumps(out) + "\n")
