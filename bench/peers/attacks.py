"""The attacks of Foolbox, torchattacks, ART and the AutoAttack repository on PyTorch, for bench/src/attacks*.ts.

A JSON request a line on stdin, a JSON answer a line on stdout; the first line that is printed says the versions. Images and
weights come in files of little-endian float32. What it is asked:

{"ask": "open", "network": "small" | "madry", "weights": file, "images": file, "labels": [class, ...]}
    -> {}; the weights are those of the ONNX file, in its order
{"ask": "logits", "images": file}                              -> {"logits": [[...], ...]}
{"ask": "auto", "checkout": folder, "norm", "epsilon", "rows", "seed"} -> {"robust": [0 | 1, ...], "seconds", "log": [...]}
{"ask": "attack", "library", "attack", "norm", "rows", "batch", "seed", ...options}
    -> {"distance": [number | null, ...], "seconds", "cpuSeconds", "queries"}; null where the attack failed, queries are the
       mean number of images shown to the model for one example

An answer {"error": text} says what went wrong; the process goes on.
"""
import importlib.metadata
import json
import os
import sys
import tempfile
import time
import warnings

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # the libraries print
here = os.getcwd()
os.chdir(tempfile.mkdtemp())  # and leave files behind
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
warnings.filterwarnings("ignore")

import numpy as np
import torch
from torch import nn

np.mat = np.asmatrix  # ART 1.20.1 asks NumPy 2 for what it no longer has

torch.set_num_threads(1)


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


class Counted(nn.Module):
    """Counts the images that the network is shown."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.images = 0

    def forward(self, x):
        self.images += len(x)
        return self.network(x.float())  # ART may come with float64


def images_of(file):
    # [n, 28, 28, 1] and [n, 1, 28, 28] are the same numbers in the same order.
    return torch.from_numpy(np.fromfile(file, "<f4").reshape(-1, 1, 28, 28))


def open_network(request):
    network = {"small": small, "madry": madry}[request["network"]]()
    weights = np.fromfile(request["weights"], "<f4")
    at = 0
    with torch.no_grad():
        for parameter in network.parameters():
            values = torch.from_numpy(weights[at : at + parameter.numel()])
            at += parameter.numel()
            # A dense layer is [in, out] in the file, [out, in] in PyTorch.
            two = parameter.dim() == 2
            parameter.copy_(values.reshape(parameter.shape[::-1]).T if two else values.reshape(parameter.shape))
    assert at == len(weights), "not the weights of this network"
    network.eval().requires_grad_(False)
    return Counted(network), images_of(request["images"]), torch.tensor(request["labels"])


def auto_attack(model, x, y, request):
    sys.path.insert(0, os.path.join(here, request["checkout"]))
    from autoattack import AutoAttack

    norm = {"linf": "Linf", "l2": "L2", "l1": "L1"}[request["norm"]]
    lines = []
    attack = AutoAttack(model, norm=norm, eps=request["epsilon"], seed=request.get("seed", 0), device="cpu")
    attack.logger.log = lines.append
    start = time.perf_counter()
    adversarial = attack.run_standard_evaluation(x, y, bs=250)
    seconds = time.perf_counter() - start
    robust = (model(adversarial).argmax(1) == y).int().tolist()
    return {"robust": robust, "seconds": seconds, "log": [line for line in lines if "accuracy" in line]}


def foolbox_attack(model, attack, norm, o):
    import foolbox
    import foolbox.attacks as all

    by_norm = lambda **names: getattr(all, names[norm])
    steps = o.get("steps")
    # A start that the attack finds wherever there is one: some of our networks do not give in to blended noise.
    start = all.LinearSearchBlendedUniformNoiseAttack(directions=1000, steps=50)
    search = {"binary_search_steps": o.get("searchSteps"), "initial_const": o.get("initialConstant")}
    made = {
        "pgd": lambda: by_norm(linf="LinfPGD", l2="L2PGD")(steps=steps, abs_stepsize=o["stepSize"], random_start=True),
        "deepFool": lambda: by_norm(linf="LinfDeepFoolAttack", l2="L2DeepFoolAttack")(steps=steps, overshoot=o["overshoot"]),
        "carliniWagner": lambda: by_norm(l2="L2CarliniWagnerAttack")(steps=steps, stepsize=o["stepSize"], **search),
        "ddn": lambda: by_norm(l2="DDNAttack")(steps=steps),
        "fmn": lambda: by_norm(linf="LInfFMNAttack", l2="L2FMNAttack", l1="L1FMNAttack", l0="L0FMNAttack")(
            steps=steps, **({"max_stepsize": o["stepSize"]} if "stepSize" in o else {})
        ),
        "elasticNet": lambda: all.EADAttack(
            steps=steps, initial_stepsize=o["stepSize"], regularization=o["beta"], decision_rule=o["rule"], **search
        ),
        "brendelBethge": lambda: by_norm(
            linf="LinfinityBrendelBethgeAttack", l2="L2BrendelBethgeAttack", l1="L1BrendelBethgeAttack", l0="L0BrendelBethgeAttack"
        )(init_attack=start, steps=steps),
        "hopSkipJump": lambda: all.HopSkipJumpAttack(
            init_attack=start, steps=steps, max_gradient_eval_steps=o["most"], initial_gradient_eval_steps=o["first"], constraint=norm
        ),
        "boundary": lambda: all.BoundaryAttack(init_attack=start, steps=steps),
    }[attack]()
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")

    def run(x, y):
        epsilon = o.get("epsilon")
        # Of a fixed epsilon the clipped point is the attack's answer, of a smallest distance the point itself.
        try:
            raw, _, _ = made(wrapped, x, y, epsilons=epsilon)
            return raw
        except ValueError:
            if len(x) == 1:
                return x  # no start
            return torch.cat([run(x[i : i + 1], y[i : i + 1]) for i in range(len(x))])

    return run


def torchattacks_attack(model, attack, norm, o):
    import torchattacks

    steps = o.get("steps")
    long = {"linf": "Linf", "l2": "L2", "l1": "L1"}[norm]
    made = {
        "pgd": lambda: torchattacks.PGD(model, eps=o["epsilon"], alpha=o["stepSize"], steps=steps),
        "apgd": lambda: torchattacks.APGD(model, norm=long, eps=o["epsilon"], steps=steps, loss=o.get("loss", "ce")),
        "carliniWagner": lambda: torchattacks.CW(model, steps=steps * o["searchSteps"], lr=o["stepSize"]),
        "deepFool": lambda: torchattacks.DeepFool(model, steps=steps, overshoot=o["overshoot"]),
        "fab": lambda: torchattacks.FAB(model, norm=long, eps=o.get("epsilon"), steps=steps, n_restarts=1),
        "elasticNet": lambda: {"EN": torchattacks.EADEN, "L1": torchattacks.EADL1}[o["rule"]](
            model, lr=o["stepSize"], max_iterations=steps, beta=o["beta"],
            binary_search_steps=o["searchSteps"], initial_const=o["initialConstant"],
        ),
        "square": lambda: torchattacks.Square(
            model, norm=long, eps=o["epsilon"], n_queries=o["queries"], seed=o.get("seed", 0)
        ),
    }[attack]()
    return made


def art_attack(model, attack, norm, o):
    import art.attacks.evasion as all
    from art.estimators.classification import PyTorchClassifier

    batch = o["batch"]
    # It takes gradients of the model's parameters along unless they need none, which they do not here.
    wrapped = PyTorchClassifier(model, nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0.0, 1.0), device_type="cpu")
    order = {"linf": np.inf, "l2": 2, "l1": 1, "l0": 0}[norm]
    steps = o.get("steps")
    quiet = {"batch_size": batch, "verbose": False}
    search = {"binary_search_steps": o.get("searchSteps"), "initial_const": o.get("initialConstant")}
    ball = {"norm": order, "eps": o.get("epsilon")}
    made = {
        "pgd": lambda: all.ProjectedGradientDescent(wrapped, **ball, eps_step=o["stepSize"], max_iter=steps, num_random_init=1, **quiet),
        "apgd": lambda: all.AutoProjectedGradientDescent(
            wrapped, **ball, eps_step=2 * o["epsilon"], max_iter=steps, nb_random_init=1, loss_type="cross_entropy", **quiet
        ),
        "carliniWagner": lambda: all.CarliniL2Method(wrapped, max_iter=steps, learning_rate=o["stepSize"], **search, **quiet)
        if norm == "l2"
        else all.CarliniLInfMethod(wrapped, max_iter=steps, learning_rate=o["stepSize"], **quiet),
        "deepFool": lambda: all.DeepFool(wrapped, max_iter=steps, epsilon=o["overshoot"], nb_grads=10, **quiet),
        "elasticNet": lambda: all.ElasticNet(
            wrapped, max_iter=steps, learning_rate=o["stepSize"], beta=o["beta"], decision_rule=o["rule"], **search, **quiet
        ),
        "square": lambda: all.SquareAttack(wrapped, **ball, max_iter=o["queries"], nb_restarts=1, **quiet),
        "hopSkipJump": lambda: all.HopSkipJump(
            wrapped, norm=order, max_iter=steps, max_eval=o["most"], init_eval=o["first"], init_size=1000, **quiet
        ),
        "boundary": lambda: all.BoundaryAttack(wrapped, targeted=False, max_iter=o["artSteps"], init_size=1000, **quiet),
        "signOpt": lambda: all.SignOPTAttack(wrapped, targeted=False, query_limit=o["queries"], **quiet),
        "geoda": lambda: all.GeoDA(wrapped, norm=order, max_iter=o["queries"], sub_dim=o.get("subspace", 28), **quiet),
        "brendelBethge": lambda: all.BrendelBethgeAttack(wrapped, norm=order, steps=steps, batch_size=batch),
    }[attack]()

    def run(x, y):
        return torch.from_numpy(np.asarray(made.generate(x.numpy(), y.numpy()), dtype=np.float32))

    return run


def reference_attack(model, attack, norm, o):
    """FAB as the AutoAttack repository has it."""
    sys.path.insert(0, os.path.join(here, o["checkout"]))
    from autoattack.fab_pt import FABAttack_PT

    assert attack == "fab"
    long = {"linf": "Linf", "l2": "L2", "l1": "L1"}[norm]
    made = FABAttack_PT(model, norm=long, n_iter=o["steps"], n_restarts=1, seed=0, device="cpu")

    def run(x, y):
        # perturb() gives back what it was given where the distance is above eps: here none is.
        made.eps = {"linf": 1.0, "l2": 28.0, "l1": 784.0}[norm]
        return made.perturb(x, y)

    return run


libraries = {
    "foolbox": foolbox_attack,
    "torchattacks": torchattacks_attack,
    "art": art_attack,
    "auto-attack": reference_attack,
}


def attack(model, x, y, request):
    torch.manual_seed(request.get("seed", 0))
    np.random.seed(request.get("seed", 0))
    run = libraries[request["library"]](model, request["attack"], request["norm"], request)
    model.images = 0
    parts = []
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(x), request["batch"]):
        end = start + request["batch"]
        parts.append(run(x[start:end], y[start:end]).detach().reshape(-1, 1, 28, 28))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    adversarial, queries = torch.cat(parts), model.images / len(x)
    with torch.no_grad():
        broken = (model(adversarial.float()).argmax(1) != y).tolist()
        was = (model(x).argmax(1) != y).tolist()
    moved = (adversarial.double() - x.double()).flatten(1)
    norms = {
        "linf": lambda: moved.abs().amax(1),
        "l2": lambda: moved.square().sum(1).sqrt(),
        "l1": lambda: moved.abs().sum(1),
        "l0": lambda: (moved != 0).sum(1),
    }
    inside = ((adversarial >= 0) & (adversarial <= 1)).flatten(1).all(1).tolist()
    # What is wrong already is at distance 0, whatever the attack made of it.
    distance = [
        0 if wrong else size if ok and within else None
        for size, ok, wrong, within in zip(norms[request["norm"]]().tolist(), broken, was, inside)
    ]
    return {"distance": distance, "seconds": wall, "cpuSeconds": cpu, "queries": queries}


def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def answer(value):
    print(json.dumps(value), file=answers, flush=True)


names = {"torch": "torch", "foolbox": "foolbox", "torchattacks": "torchattacks", "art": "adversarial-robustness-toolbox"}
answer({library: version(package) for library, package in names.items()})
opened = None
for line in sys.stdin:
    request = json.loads(line)
    try:
        if request["ask"] == "open":
            opened = open_network(request)
            answer({})
            continue
        model, x, y = opened
        rows = request.get("rows", len(x))
        if request["ask"] == "logits":
            with torch.no_grad():
                answer({"logits": model(images_of(request["images"])).tolist()})
        elif request["ask"] == "auto":
            answer(auto_attack(model, x[:rows], y[:rows], request))
        else:
            answer(attack(model, x[:rows], y[:rows], request))
    except Exception as error:  # one attack that fails must not end the others
        answer({"error": f"{type(error).__name__}: {error}"})
