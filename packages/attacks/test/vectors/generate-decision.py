"""Distances that the decision-based attacks of Foolbox and ART reach on a small network, by number of queries. Writes
decision.json beside this file. Every point that a library asks the network about counts, as soon as it is of another class:
the distance at a number of queries is the smallest seen until then, whatever the attack returns.
Run: python generate-decision.py, or with names of attacks to run those only and keep the other results.
"""

import json
import pathlib
import tempfile
import os
import sys
import warnings

import art
import foolbox
import numpy as np
import torch
from art.attacks.evasion import BoundaryAttack, GeoDA, HopSkipJump, SignOPTAttack, ZooAttack
from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier

if not hasattr(np, "mat"):
    np.mat = np.asmatrix  # ART's GeoDA asks for what NumPy 2 has dropped

SIDE, HIDDEN, CLASSES, ROWS, SEEDS = 6, 48, 5, 24, 3
CHECKPOINTS = [500, 1000, 2000, 5000]
WIDTH = SIDE * SIDE


def network(seed):
    """Weights and examples, float32 numbers; the hidden units are centred on the middle of the box."""
    rng = np.random.default_rng(seed)
    w1 = rng.normal(0, 1.5 / np.sqrt(WIDTH), (WIDTH, HIDDEN)).astype(np.float32)
    b1 = (rng.normal(0, 0.2, HIDDEN) - 0.5 * w1.sum(axis=0)).astype(np.float32)
    w2 = rng.normal(0, 2 / np.sqrt(HIDDEN), (HIDDEN, CLASSES)).astype(np.float32)
    middle = np.maximum(rng.uniform(0, 1, (4000, WIDTH)) @ w1 + b1, 0) @ w2
    b2 = (-middle.mean(axis=0)).astype(np.float32)
    x = rng.uniform(0, 1, (ROWS, WIDTH)).astype(np.float32)
    return (w1, b1, w2, b2), x


class Enough(Exception):
    """The budget is spent."""


class Watcher:
    """The network, and the smallest distance of a point of another class at every number of queries."""

    def __init__(self, weights, example, label, norm):
        self.weights, self.example, self.label, self.norm = weights, example, label, norm
        self.asked, self.best, self.told = 0, np.inf, []

    def ask(self, x):
        x = np.asarray(x, dtype=np.float32).reshape(-1, WIDTH)
        w1, b1, w2, b2 = self.weights
        logits = np.maximum(x @ w1 + b1, 0) @ w2 + b2
        order = {"l2": 2, "linf": np.inf, "l0": 0}[self.norm]
        distances = np.linalg.norm(x.astype(np.float64) - self.example, ord=order, axis=1)
        inside = (x >= -1e-6).all(axis=1) & (x <= 1 + 1e-6).all(axis=1)
        for other, distance in zip((logits.argmax(axis=1) != self.label) & inside, distances):
            self.asked += 1
            if other:
                self.best = min(self.best, float(distance))
            if len(self.told) < len(CHECKPOINTS) and self.asked == CHECKPOINTS[len(self.told)]:
                self.told.append(self.best)
                if len(self.told) == len(CHECKPOINTS):
                    raise Enough
        return logits

    def result(self):
        """An attack that ends before its budget keeps what it has."""
        return self.told + [self.best] * (len(CHECKPOINTS) - len(self.told))


class Module(torch.nn.Module):
    def __init__(self, watcher):
        super().__init__()
        self.watcher = watcher

    def forward(self, x):
        return torch.tensor(self.watcher.ask(x.detach().numpy()))


def by_foolbox(make):
    def attack(watcher):
        model = foolbox.PyTorchModel(Module(watcher).eval(), bounds=(0, 1))
        x = torch.tensor(watcher.example.reshape(1, 1, SIDE, SIDE))
        make()(model, x, torch.tensor([watcher.label]), epsilons=None)

    return attack


def by_art(make):
    def attack(watcher):
        shape = (1, SIDE, SIDE)
        classifier = BlackBoxClassifier(watcher.ask, shape, CLASSES, clip_values=(0, 1))
        x = watcher.example.reshape(1, *shape)
        make(classifier).generate(x, np.eye(CLASSES, dtype=np.float32)[[watcher.label]])

    return attack


def by_art_torch(make):
    def attack(watcher):
        shape = (1, SIDE, SIDE)
        classifier = PyTorchClassifier(
            Module(watcher).eval(), torch.nn.CrossEntropyLoss(), shape, CLASSES, clip_values=(0, 1)
        )
        x = watcher.example.reshape(1, *shape)
        make(classifier).generate(x, np.eye(CLASSES, dtype=np.float32)[[watcher.label]])

    return attack


fa = foolbox.attacks
ATTACKS = {
    ("hopSkipJump", "l2", "foolbox"): by_foolbox(lambda: fa.HopSkipJumpAttack(steps=64)),
    ("hopSkipJump", "linf", "foolbox"): by_foolbox(lambda: fa.HopSkipJumpAttack(steps=64, constraint="linf")),
    ("hopSkipJump", "l2", "art"): by_art(lambda c: HopSkipJump(c, norm=2, verbose=False)),
    ("hopSkipJump", "linf", "art"): by_art(lambda c: HopSkipJump(c, norm=np.inf, verbose=False)),
    ("boundary", "l2", "foolbox"): by_foolbox(lambda: fa.BoundaryAttack()),
    ("boundary", "l2", "art"): by_art(lambda c: BoundaryAttack(c, targeted=False, verbose=False)),
    ("signOpt", "l2", "art"): by_art_torch(lambda c: SignOPTAttack(c, targeted=False, verbose=False)),
    ("geoda", "l2", "art"): by_art_torch(lambda c: GeoDA(c, norm=2, sub_dim=SIDE, max_iter=4000, verbose=False)),
    ("geoda", "linf", "art"): by_art_torch(lambda c: GeoDA(c, norm=np.inf, sub_dim=SIDE, max_iter=4000, verbose=False)),
    ("pointwise", "l0", "foolbox"): by_foolbox(lambda: fa.PointwiseAttack()),
    ("zoo", "l2", "art"): by_art_torch(
        lambda c: ZooAttack(
            c, use_resize=False, use_importance=False, nb_parallel=8, max_iter=60, binary_search_steps=5,
            initial_const=1, variable_h=1e-3, verbose=False,
        )
    ),
}


def main():
    warnings.filterwarnings("ignore")
    here = pathlib.Path(__file__).resolve().parent
    os.chdir(tempfile.mkdtemp())  # GeoDA leaves its basis in the working folder
    weights, x = network(11)
    w1, b1, w2, b2 = weights
    labels = (np.maximum(x @ w1 + b1, 0) @ w2 + b2).argmax(axis=1)
    chosen = sys.argv[1:]
    file = here / "decision.json"
    cases = [c for c in json.loads(file.read_text())["cases"] if c["attack"] not in chosen] if chosen else []
    for (attack, norm, peer), run in ATTACKS.items():
        if chosen and attack not in chosen:
            continue
        distances = []
        for seed in range(SEEDS):
            rows = []
            for i in range(ROWS):
                np.random.seed(1000 * seed + i)
                torch.manual_seed(1000 * seed + i)
                watcher = Watcher(weights, x[i], int(labels[i]), norm)
                try:
                    run(watcher)
                except Enough:
                    pass
                except Exception as error:  # a library that gives up on an example keeps what it has seen
                    print(attack, norm, peer, i, type(error).__name__, str(error)[:80])
                rows.append(watcher.result())
            distances.append(rows)
        medians = np.median(np.array(distances), axis=1)
        print(attack, norm, peer, np.round(medians, 4).tolist(), flush=True)
        cases.append({"attack": attack, "norm": norm, "peer": peer, "medians": [[float(m) if np.isfinite(m) else None for m in row] for row in np.round(medians, 4)]})
    rounded = lambda a: [float(f"{v:.9g}") for v in np.asarray(a).ravel()]  # noqa: E731
    result = {
        "about": "network: relu(x w1 + b1) w2 + b2, row-major; medians over the rows of the smallest distance, one line a "
        "seed, one number a checkpoint; see generate-decision.py",
        "versions": {"foolbox": foolbox.__version__, "art": art.__version__, "torch": torch.__version__,
                     "numpy": np.__version__},
        "side": SIDE, "hidden": HIDDEN, "classes": CLASSES, "checkpoints": CHECKPOINTS,
        "weights": {"w1": rounded(w1), "b1": rounded(b1), "w2": rounded(w2), "b2": rounded(b2)},
        "inputs": rounded(x), "labels": labels.tolist(), "cases": cases,
    }  # fmt: skip
    text = json.dumps(result, separators=(",", ":"), allow_nan=False)
    file.write_text(text + "\n")


if __name__ == "__main__":
    main()
