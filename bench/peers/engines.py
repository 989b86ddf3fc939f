"""Times PyTorch eager for bench/src/engines.ts: a JSON request a line on stdin, a JSON answer a line on stdout.

Request: {"network", "work", "batch", "threads", "runs", "warmup"}; answer: {"times": [milliseconds, ...]}. The first line that
is printed says the version.
"""
import json
import sys
import time

import torch
from torch import nn


def small():
    """The MNIST network of Wong, Rice and Kolter, 2020; TensorFlow pads 4x4 with stride 2 by one on each side."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10),
    )


def madry():
    """The MNIST network of Madry et al., 2018."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 1024), nn.ReLU(), nn.Linear(1024, 10),
    )


def resnet18():
    import torchvision

    return torchvision.models.resnet18(weights=None)


NETWORKS = {"small": (small, (1, 28, 28)), "madry": (madry, (1, 28, 28)), "resnet18": (resnet18, (3, 224, 224))}
made = {}


def work_of(network, work, batch):
    key = (network, work, batch)
    if key in made:
        return made[key]
    make, shape = NETWORKS[network]
    torch.manual_seed(0)
    model = make()
    x, y = torch.rand(batch, *shape), torch.arange(batch) % 10
    loss = nn.CrossEntropyLoss(reduction="sum")

    if work == "input gradient":
        model.eval().requires_grad_(False)

        def run():
            at = x.clone().requires_grad_(True)
            torch.autograd.grad(loss(model(at), y), at)

    else:
        model.train()
        optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[work.split()[-1]](model.parameters(), 1e-3)

        def run():
            optimizer.zero_grad()
            (loss(model(x), y) / batch).backward()
            optimizer.step()

    made[key] = run
    return run


print(json.dumps({"version": torch.__version__}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    torch.set_num_threads(request["threads"])
    run = work_of(request["network"], request["work"], request["batch"])
    for _ in range(request["warmup"]):
        run()
    times = []
    for _ in range(request["runs"]):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    print(json.dumps({"times": times}), flush=True)
