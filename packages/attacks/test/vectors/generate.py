"""Results of other implementations of the gradient attacks: Foolbox and ART, on a small network. Writes peers.json
beside this file. Every result is also compared here with the textbook iteration, written out in numpy below.
Run: python generate.py
"""

import json
import pathlib
import platform

import art
import eagerpy
import foolbox
import numpy as np
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from art.utils import projection as art_projection
from foolbox.attacks.gradient_descent_base import clip_lp_norms

SEED = 27
INPUTS, HIDDEN, CLASSES, ROWS = 6, 8, 4, 12


def make_data(seed):
    """Weights, inputs and labels, all of them float32 numbers."""
    rng = np.random.default_rng(seed)
    single = lambda a: a.astype(np.float32).astype(np.float64)  # noqa: E731
    w1 = single(rng.normal(0, 1.2, (INPUTS, HIDDEN)))
    b1 = single(rng.normal(0, 0.3, HIDDEN) - 0.5 * w1.sum(axis=0))
    w2 = single(rng.normal(0, 1.0, (HIDDEN, CLASSES)))
    b2 = single(rng.normal(0, 0.1, CLASSES))
    x = single(rng.uniform(0, 1, (ROWS, INPUTS)))
    return {"w1": w1, "b1": single(b1), "w2": w2, "b2": b2}, x


class Network(torch.nn.Module):
    def __init__(self, weights, activation, dtype):
        super().__init__()
        tensors = {name: torch.tensor(value, dtype=dtype) for name, value in weights.items()}
        self.weights = torch.nn.ParameterDict({n: torch.nn.Parameter(t) for n, t in tensors.items()})
        self.activation = {"tanh": torch.tanh, "relu": torch.relu}[activation]

    def forward(self, x):
        w = self.weights
        return self.activation(x @ w["w1"] + w["b1"]) @ w["w2"] + w["b2"]


def evaluate(model, x, classes):
    """Logits, cross-entropy and its gradient with respect to x, row by row, in float64."""
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    logits = model(x)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(classes), reduction="none")
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    return logits.detach().numpy(), loss.detach().numpy(), gradient.numpy()


def textbook(model, x0, classes, norm, epsilon, step, steps, targeted, ball_first, bounds):
    """Projected steepest ascent on the cross-entropy (descent when targeted), and the smallest share that an entry of a
    sign gradient had of the largest one: where it is tiny, rounding decides the sign."""
    x, share = x0, np.inf
    for _ in range(steps):
        g = evaluate(model, x, classes)[2]
        if norm == "linf":
            share = min(share, (np.abs(g).min(axis=1) / np.abs(g).max(axis=1)).min())
            direction = np.sign(g)
        else:
            direction = g / np.linalg.norm(g, axis=1, keepdims=True)
        moved = x + (-step if targeted else step) * direction

        def ball(z):
            d = z - x0
            if norm == "linf":
                return x0 + np.clip(d, -epsilon, epsilon)
            return x0 + d * np.minimum(1, epsilon / np.linalg.norm(d, axis=1, keepdims=True))

        x = np.clip(ball(moved), *bounds) if ball_first else ball(np.clip(moved, *bounds))
    return x, share


def foolbox_cases():
    attacks = foolbox.attacks
    for epsilon in (0.03, 0.1, 0.3):
        yield "LinfFastGradientAttack", attacks.LinfFastGradientAttack(), "linf", epsilon, epsilon, 1, False
    for epsilon in (0.1, 0.5, 1.0):
        yield "L2FastGradientAttack", attacks.L2FastGradientAttack(), "l2", epsilon, epsilon, 1, False
    for norm, name, epsilons in (("linf", "LinfBasicIterativeAttack", (0.1, 0.3)), ("l2", "L2BasicIterativeAttack", (0.3, 0.6))):
        for epsilon in epsilons:
            for targeted in (False, True):
                attack = getattr(attacks, name)(rel_stepsize=0.2, steps=10, random_start=False)
                yield name, attack, norm, epsilon, 0.2 * epsilon, 10, targeted
    for norm, name, settings in (
        ("linf", "LinfProjectedGradientDescentAttack", [("rel", 0.01 / 0.3, 40, 0.3), ("abs", 0.02, 7, 0.05), ("abs", 0.01, 20, 0.1)]),
        ("l2", "L2ProjectedGradientDescentAttack", [("rel", 0.025, 50, 0.5), ("abs", 0.15, 10, 0.5), ("abs", 0.1, 20, 1.0)]),
    ):
        for kind, size, steps, epsilon in settings:
            for targeted in (False, True):
                options = {"rel_stepsize": size} if kind == "rel" else {"abs_stepsize": size}
                attack = getattr(attacks, name)(**options, steps=steps, random_start=False)
                yield name, attack, norm, epsilon, size * epsilon if kind == "rel" else size, steps, targeted


def art_cases():
    for norm, order, epsilons in (("linf", np.inf, (0.1, 0.3)), ("l2", 2, (0.5, 1.0))):
        for epsilon in epsilons:
            for targeted in (False, True):
                make = lambda c, e=epsilon, o=order, t=targeted: FastGradientMethod(c, norm=o, eps=e, targeted=t)  # noqa: E731
                yield "FastGradientMethod", make, norm, epsilon, epsilon, 1, targeted
    for norm, order, settings in (
        ("linf", np.inf, [(0.3, 0.03, 20), (0.1, 0.04, 5)]),
        ("l2", 2, [(0.5, 0.1, 15), (1.0, 0.1, 20)]),
    ):
        for epsilon, step, steps in settings:
            for targeted in (False, True):
                make = lambda c, e=epsilon, s=step, n=steps, o=order, t=targeted: ProjectedGradientDescent(  # noqa: E731
                    c, norm=o, eps=e, eps_step=s, max_iter=n, targeted=t, num_random_init=0, verbose=False
                )
                yield "ProjectedGradientDescent", make, norm, epsilon, step, steps, targeted


def with_wide_bounds(cases):
    """L2 iterations once more in bounds that are never reached, where the order of the two projections cannot matter."""
    for case in cases:
        yield *case, (0.0, 1.0)
        if case[2] == "l2" and case[5] > 1:
            yield *case, (-1.0, 2.0)


def main():
    weights, x = make_data(SEED)
    double = {name: Network(weights, name, torch.float64) for name in ("tanh", "relu")}
    labels = evaluate(double["tanh"], x, np.zeros(ROWS, np.int64))[0].argmax(axis=1)
    labels[-1] = (labels[-1] + 2) % CLASSES  # one row that is wrong from the start
    targets = (labels + 1) % CLASSES

    def record(peer, name, activation, norm, epsilon, step, steps, targeted, ball_first, bounds, result):
        classes = targets if targeted else labels
        model = double[activation]
        logits, loss, _ = evaluate(model, result, classes)
        own, share = textbook(model, x, classes, norm, epsilon, step, steps, targeted, ball_first, bounds)
        other, _ = textbook(model, x, classes, norm, epsilon, step, steps, targeted, not ball_first, bounds)
        reached = logits.argmax(axis=1) == classes
        difference = float(np.abs(own - result).max())
        order = float(np.abs(own - other).max())
        print(f"{peer} {name} {activation} {norm} {epsilon} {targeted}: textbook {difference:.1e} order {order:.1e} share {share:.1e}")
        assert difference < 1e-5, "the peer differs from the textbook"
        assert share > 1e-4, "rounding decides a sign: take another seed"
        return {
            "peer": peer, "attack": name, "network": activation, "norm": norm, "epsilon": epsilon, "stepSize": step,
            "steps": steps, "targeted": targeted, "bounds": list(bounds), "order": "ball, box" if ball_first else "box, ball",
            "otherOrderDiffers": order if order > 1e-12 else 0,
            "adversarial": short(result), "logits": short(logits), "crossEntropy": short(loss),
            "success": [bool(v) for v in (reached if targeted else ~reached)],
        }  # fmt: skip

    cases = []
    for activation in ("tanh", "relu"):
        for name, attack, norm, epsilon, step, steps, targeted, bounds in with_wide_bounds(foolbox_cases()):
            if activation == "relu" and name not in ("LinfFastGradientAttack", "L2FastGradientAttack"):
                continue
            model = foolbox.PyTorchModel(double[activation].eval(), bounds=bounds)
            kind = foolbox.criteria.TargetedMisclassification if targeted else foolbox.criteria.Misclassification
            criterion = kind(torch.tensor(targets if targeted else labels))
            raw, _, _ = attack(model, torch.tensor(x), criterion, epsilons=[epsilon])
            cases.append(record("foolbox", name, activation, norm, epsilon, step, steps, targeted, True, bounds, raw[0].numpy()))

    single = Network(weights, "tanh", torch.float32)
    for name, make, norm, epsilon, step, steps, targeted, bounds in with_wide_bounds(art_cases()):
        classifier = PyTorchClassifier(
            single, loss=torch.nn.CrossEntropyLoss(), input_shape=(INPUTS,), nb_classes=CLASSES, clip_values=bounds
        )
        result = make(classifier).generate(x.astype(np.float32), y=targets if targeted else labels).astype(np.float64)
        cases.append(record("art", name, "tanh", norm, epsilon, step, steps, targeted, False, bounds, result))

    clean = {}
    for name, model in double.items():
        logits, loss, gradient = evaluate(model, x, labels)
        clean[name] = {"logits": short(logits), "crossEntropy": short(loss), "inputGradient": short(gradient)}
    data = {
        "by": f"foolbox {foolbox.__version__} (eagerpy {eagerpy.__version__}), adversarial-robustness-toolbox {art.__version__}, "
        f"torch {torch.__version__.split('+')[0]} on the CPU, numpy {np.__version__}, Python {platform.python_version()}",
        "weights": {name: short(value) for name, value in weights.items()},
        "inputs": short(x),
        "labels": labels.tolist(),
        "targets": targets.tolist(),
        "clean": clean,
        "cases": cases,
        "defects": defects(),
    }
    lines = [f'"{key}": {json.dumps(value)}' for key, value in data.items() if key != "cases"]
    lines.insert(-1, '"cases": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]")
    pathlib.Path(__file__).with_name("peers.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def short(array):
    """Ten digits: more than a float32 holds, and half of what a float64 takes."""
    return [short(row) for row in array] if np.ndim(array) > 0 else float(f"{float(array):.10g}")


def defects():
    """Where a peer is not a model to follow: L1. The loss rises along w = (4, 3), so in the L1 ball of radius 1 the best
    point is (1, 0), with a gain of 4."""
    w = np.array([4.0, 3.0])

    class Linear(torch.nn.Module):
        def __init__(self, dtype):
            super().__init__()
            self.w = torch.nn.Parameter(torch.tensor(w, dtype=dtype))

        def forward(self, x):
            score = x @ self.w
            return torch.stack([torch.zeros_like(score), score], dim=1)

    model = foolbox.PyTorchModel(Linear(torch.float64).eval(), bounds=(-2, 2))
    zero, label = torch.zeros((1, 2), dtype=torch.float64), torch.zeros(1, dtype=torch.int64)
    rows = []
    for name, attack, step, steps in (
        ("L1FastGradientAttack", foolbox.attacks.L1FastGradientAttack(), 1.0, 1),
        ("L1BasicIterativeAttack", foolbox.attacks.L1BasicIterativeAttack(rel_stepsize=0.2, steps=10), 0.2, 10),
        ("L1ProjectedGradientDescentAttack", foolbox.attacks.L1ProjectedGradientDescentAttack(rel_stepsize=0.1, steps=100, random_start=False), 0.1, 100),
    ):  # fmt: skip
        point = attack(model, zero, label, epsilons=[1.0])[0][0].numpy()[0]
        rows.append({"peer": "foolbox", "attack": name, "stepSize": step, "steps": steps, "point": short(point), "gain": short(w @ point)})
    classifier = PyTorchClassifier(
        Linear(torch.float32), loss=torch.nn.CrossEntropyLoss(), input_shape=(2,), nb_classes=2, clip_values=(-2.0, 2.0)
    )
    for name, attack, step, steps in (
        ("FastGradientMethod", FastGradientMethod(classifier, norm=1, eps=1.0), 1.0, 1),
        ("ProjectedGradientDescent", ProjectedGradientDescent(classifier, norm=1, eps=1.0, eps_step=0.1, max_iter=100, verbose=False), 0.1, 100),
    ):  # fmt: skip
        point = attack.generate(zero.numpy().astype(np.float32), y=np.array([0]))[0]
        rows.append({"peer": "art", "attack": name, "stepSize": step, "steps": steps, "point": short(point), "gain": short(w @ point)})
    v = np.array([[3.0, 1.0, -2.0]])
    return {
        "l1Steps": {"w": w.tolist(), "start": [0, 0], "bounds": [-2, 2], "epsilon": 1, "bestPoint": [1, 0], "bestGain": 4, "results": rows},
        "l1Projection": {
            "radius": 2,
            "point": v[0].tolist(),
            "nearest": [1.5, 0, -0.5],
            "foolbox": short(clip_lp_norms(eagerpy.astensor(torch.tensor(v)), norm=2.0, p=1).numpy()[0]),
            "art": short(art_projection(v, 2.0, 1)[0]),
            "artOptimal": short(art_projection(v, 2.0, 1, suboptimal=False)[0]),
        },
    }  # fmt: skip


if __name__ == "__main__":
    main()
