"""What the reference implementation of AutoAttack (github.com/fra31/auto-attack, commit a392200) finds on the network of
minimum-norm.json, and values of its pieces. Writes autoattack.json beside this file.
Run: python generate-autoattack.py FOLDER [--keep], where FOLDER holds a checkout of the reference.
"""

import base64
import json
import pathlib
import sys

sys.path.insert(0, sys.argv[1])
import numpy as np
import torch
from autoattack import AutoAttack
from autoattack.autopgd_base import APGDAttack, APGDAttack_targeted, L1_projection
from autoattack.fab_projections import projection_l1, projection_l2, projection_linf
from autoattack.fab_pt import FABAttack_PT
from autoattack.square import SquareAttack

HERE = pathlib.Path(__file__).parent
# Square's first grid does not fit into 14 x 14 there: a row and a column that the network does not see are added.
SIDE, PADDED, WIDTHS, SEEDS = 14, 15, [196, 32, 32, 10], range(3)
BALLS = {"linf": ("Linf", 0.08), "l2": ("L2", 0.6), "l1": ("L1", 2.0)}
torch.set_num_threads(1)


def pad(rows):
    return torch.nn.functional.pad(rows.reshape(-1, 1, SIDE, SIDE), (0, PADDED - SIDE, 0, PADDED - SIDE))


def network(known):
    layers = [torch.nn.Flatten(1)]
    for (inputs, outputs), stored in zip(zip(WIDTHS, WIDTHS[1:]), known["weights"]):
        layer = torch.nn.Linear(inputs, outputs)
        read = lambda name, shape: torch.tensor(np.frombuffer(base64.b64decode(stored[name]), np.float32).reshape(shape).copy())
        layer.weight.data, layer.bias.data = read("weight", (outputs, inputs)), read("bias", (outputs,))
        layers += [layer, torch.nn.ReLU()]
    layers[1].weight.data = pad(layers[1].weight.data).flatten(1)
    return torch.nn.Sequential(*layers[:-1]).eval()


def ensemble(model, x, y):
    """For each norm the examples that hold against each member alone, and against all, for every seed."""
    found = {}
    for norm, (name, epsilon) in BALLS.items():
        members = {}
        for seed in SEEDS:
            attack = AutoAttack(model, norm=name, eps=epsilon, seed=seed, version="standard", device="cpu", verbose=False)
            alone = attack.run_standard_evaluation_individual(x, y, bs=len(x))
            held = np.ones(len(x), int)
            for member, points in alone.items():
                holds = (model(points).argmax(1) == y).int().numpy()
                members.setdefault(member, []).append("".join(map(str, holds)))
                held &= holds
            members.setdefault("all", []).append("".join(map(str, held)))
        found[norm] = {"epsilon": epsilon, "held": members}
        print(norm, {member: [h.count("1") for h in held] for member, held in members.items()}, flush=True)
    return found


def paths(model, x, y):
    """Where APGD and FAB get from the examples themselves, without random starts, as far as nothing is broken."""
    found = {}
    x, y = x[:12], y[:12]
    for norm, (name, _) in BALLS.items():
        epsilon = {"linf": 0.03, "l2": 0.2, "l1": 0.6}[norm]
        attack = APGDAttack(model, norm=name, eps=epsilon, loss="ce", device="cpu")
        attack.init_hyperparam(x)
        points = x.clone()
        phases = [(epsilon, 50)] if norm != "l1" else [(3 * epsilon, 15), (2 * epsilon, 15), (epsilon, 20)]
        for attack.eps, attack.n_iter in phases:
            if norm == "l1":
                points = points + L1_projection(x, points - x, attack.eps)
            attack.n_iter_2, attack.n_iter_min, attack.size_decr = (
                max(int(share * attack.n_iter), 1) for share in (0.22, 0.06, 0.03)
            )
            points, held, losses, _ = attack.attack_single_run(x, y, x_init=points)
        ways = {}
        for targeted in [False, True]:
            fab = FABAttack_PT(model, norm=name, n_iter=6, eps=epsilon, targeted=targeted, device="cpu")
            fab.target_class = 2
            near = (fab.attack_single_run(x, y, is_targeted=targeted) - x).flatten(1)
            order = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
            ways["targeted" if targeted else "untargeted"] = near.norm(order, dim=1).tolist()
        found[norm] = {"epsilon": epsilon, "held": held.int().tolist(), "loss": losses.tolist(), "fab": ways}
    return found


def pieces():
    generator = np.random.default_rng(0)
    rounded = lambda *shape: np.round(generator.uniform(0, 1, shape), 4)
    rows, width = 8, 12
    x, d = rounded(rows, width), np.round(generator.normal(0, 0.7, (rows, width)), 4)
    x[:, 0], x[:, 1] = 0, 1
    single = lambda values: torch.tensor(values, dtype=torch.float32)
    radii = [0.5, 1.5, 3.0]
    balls = [(single(d) + L1_projection(single(x), single(d), radius)).tolist() for radius in radii]

    w = np.round(generator.normal(0, 1, (rows, width)), 4)
    w[:, 2] = 0
    w[1, 3] = w[1, 4] = 0.5
    # The last two planes do not meet the box.
    b = np.round((w * x).sum(1) + generator.normal(0, 1.5, rows), 4)
    b[-2:] = [30, -30]
    planes = {
        norm: project(single(x), single(w), single(b)).tolist()
        for norm, project in [("linf", projection_linf), ("l2", projection_l2), ("l1", projection_l1)]
    }

    logits = np.round(generator.normal(0, 3, (rows, 6)), 4)
    labels = generator.integers(0, 6, rows)
    targets = (labels + 1 + generator.integers(0, 5, rows)) % 6
    ratio = APGDAttack(None, eps=1, loss="dlr").dlr_loss(torch.tensor(logits), torch.tensor(labels))
    targeted = APGDAttack_targeted(None, eps=1)
    targeted.y_target = torch.tensor(targets)
    square = SquareAttack(None, eps=1, p_init=0.8, n_queries=10000, resc_schedule=False)
    square.norm, square.device = "L2", "cpu"

    def checkpoints(steps):
        attack, at, done = APGDAttack(None, n_iter=steps, eps=1), 0, []
        k = attack.n_iter_2
        while (at := at + k) <= steps:
            done.append(at)
            k = max(k - attack.size_decr, attack.n_iter_min)
        return done

    bumps = {}
    for norm in ["L2", "L1"]:
        square.norm = norm
        for side in [3, 5, 8]:
            torch.manual_seed(0)
            bump = square.eta(side)
            # One of the two orientations is drawn; the upper half positive is kept.
            bumps[f"{norm.lower()} {side}"] = (bump if bump[0, -1] > 0 and bump[0, 0] > 0 else bump.T).tolist()
    return {
        "x": x.tolist(),
        "l1Ball": {"perturbations": d.tolist(), "radii": radii, "projected": balls},
        "hyperplane": {"w": w.tolist(), "b": b.tolist(), "way": planes},
        "ratio": {
            "logits": logits.tolist(),
            "labels": labels.tolist(),
            "targets": targets.tolist(),
            "untargeted": ratio.tolist(),
            "targeted": targeted.dlr_loss_targeted(torch.tensor(logits), torch.tensor(labels)).tolist(),
        },
        "checkpoints": {str(steps): checkpoints(steps) for steps in [5, 10, 25, 50, 100, 1000]},
        "shares": [[query, square.p_selection(query)] for query in [0, 10, 11, 50, 51, 200, 201, 500, 501, 1000, 1001, 2000, 2001, 4000, 4001, 6000, 6001, 8000, 8001]],
        "bumps": bumps,
    }


def main():
    known = json.loads((HERE / "minimum-norm.json").read_text())
    model = network(known)
    grey = np.frombuffer(base64.b64decode(known["inputs"]), np.uint8).astype(np.float64) / 255
    x = pad(torch.tensor(grey.astype(np.float32)))
    y = torch.tensor(known["labels"])
    assert (model(x).argmax(1) == y).all()
    result = {"torch": torch.__version__, "pieces": pieces(), "paths": paths(model, x, y)}
    # "--keep": the slow part, some minutes, as it is in the file.
    old = json.loads((HERE / "autoattack.json").read_text()) if "--keep" in sys.argv else None
    result["ensemble"] = old["ensemble"] if old else ensemble(model, x, y)
    short = json.loads(json.dumps(result), parse_float=lambda text: float(f"{float(text):.7g}"))
    (HERE / "autoattack.json").write_text(json.dumps(short, separators=(",", ":")) + "\n")


main()
