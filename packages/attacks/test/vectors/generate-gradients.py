"""A small convolutional network in float64 by torch autograd: logits, cross-entropy, gradients with respect to the input
and to the weights. Everything is stored in the layouts of TensorFlow: NHWC, kernels HWIO, dense weights [in, out]; the
flattening is of NHWC. Writes gradients.json beside this file. Run: python generate-gradients.py
"""

import json
import pathlib
import platform

import numpy as np
import torch
import torch.nn.functional as F

SEED = 5
ROWS, CLASSES = 6, 5


def forward(x, w):
    """x: NHWC. Returns the logits, and what decides on which side of a kink the point lies."""
    kernel = lambda k: k.permute(3, 2, 0, 1)  # noqa: E731  HWIO -> OIHW
    a = F.conv2d(x.permute(0, 3, 1, 2), kernel(w["conv1/kernel"]), w["conv1/bias"], padding=1)  # 8x8x4
    b = F.max_pool2d(F.relu(a), 2)  # 4x4x4
    c = F.conv2d(b, kernel(w["conv2/kernel"]), w["conv2/bias"])  # 2x2x6
    flat = F.relu(c).permute(0, 2, 3, 1).flatten(1)
    return flat @ w["dense/kernel"] + w["dense/bias"], a, c


def distance_to_kinks(a, c):
    """How far every ReLU is from 0, and every maximum of a pool from the next one (pools that are all 0 have none)."""
    windows = F.relu(a).unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    top = windows.topk(2, dim=-1).values
    gaps = (top[..., 0] - top[..., 1])[top[..., 0] > 0]
    return min(a.abs().min(), c.abs().min(), gaps.min()).item()


def main():
    rng = np.random.default_rng(SEED)
    shapes = {
        "conv1/kernel": [3, 3, 1, 4], "conv1/bias": [4], "conv2/kernel": [3, 3, 4, 6], "conv2/bias": [6],
        "dense/kernel": [24, CLASSES], "dense/bias": [CLASSES],
    }  # fmt: skip
    scales = {"conv1/kernel": 0.5, "conv2/kernel": 0.3, "dense/kernel": 0.6}
    single = lambda a: a.astype(np.float32).astype(np.float64)  # noqa: E731
    w = {n: torch.tensor(single(rng.normal(0, scales.get(n, 0.1), s)), requires_grad=True) for n, s in shapes.items()}
    while True:
        x = torch.tensor(single(rng.uniform(0, 1, (ROWS, 8, 8, 1))), requires_grad=True)
        logits, a, c = forward(x, w)
        if distance_to_kinks(a, c) > 2e-4:
            break
    labels = torch.tensor([0, 1, 2, 3, 4, 1])
    loss = F.cross_entropy(logits, labels, reduction="none")
    gradients = torch.autograd.grad(loss.sum(), [x, *w.values()])

    values = lambda t: [float(f"{v:.12g}") for v in t.detach().flatten().tolist()]  # noqa: E731
    tensor = lambda t: {"shape": list(t.shape), "values": values(t)}  # noqa: E731
    data = {
        "by": f"torch {torch.__version__.split('+')[0]} on the CPU, numpy {np.__version__}, Python {platform.python_version()}",
        "layout": "NHWC, kernels HWIO, dense kernel [in, out], flattening of NHWC",
        "layers": [
            {"kind": "conv2d", "weights": "conv1", "kernelSize": 3, "strides": 1, "padding": "same", "activation": "relu"},
            {"kind": "maxPooling2d", "poolSize": 2, "strides": 2, "padding": "valid"},
            {"kind": "conv2d", "weights": "conv2", "kernelSize": 3, "strides": 1, "padding": "valid", "activation": "relu"},
            {"kind": "flatten"},
            {"kind": "dense", "weights": "dense", "units": CLASSES},
        ],
        "weights": {name: tensor(t) for name, t in w.items()},
        "inputs": tensor(x),
        "labels": labels.tolist(),
        "logits": tensor(logits),
        "crossEntropy": values(loss),
        "inputGradient": tensor(gradients[0]),
        "parameterGradients": {name: tensor(g) for name, g in zip(w, gradients[1:], strict=True)},
    }
    lines = ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in data.items())
    pathlib.Path(__file__).with_name("gradients.json").write_text("{\n" + lines + "\n}\n")
    print("distance to kinks", distance_to_kinks(a, c), "loss", loss.tolist(), "largest", gradients[0].abs().max().item())


if __name__ == "__main__":
    main()
