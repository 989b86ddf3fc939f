"""Networks of full size: large/NAME.onnx, what PyTorch's exporters write but for the weights, and large/NAME.json, what PyTorch
answers in float64 with weights from a seed (large_models.py).

`python generate-large.py search [NAME ...]` looks for two rows that are far from every kink, among the first 2000: for NETWORKS.
"""
import copy
import hashlib
import json
import logging
import os
import sys
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from onnx import numpy_helper
from large_models import *
from vector_tools import *

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
torch.backends.mha.set_fastpath_enabled(False)  # the fast path of attention has neither gradient nor export
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "large")
VERSIONS = {
    "torch": torch.__version__.split("+")[0], "torchvision": torchvision.__version__.split("+")[0], "onnx": onnx.__version__,
    "onnxruntime": ort.__version__, "numpy": np.__version__,
}
# name -> exporter, opset, entries between the gradients that are kept (prime to the width)
EXPORTS = {
    "madry-cnn": ("classic", 17, 1), "resnet18": ("classic", 17, 307), "mobilenet-v2": ("dynamo", 18, 307), "vit-tiny": ("dynamo", 20, 307),
    "text": ("classic", 17, 33),
}


def inputs_of(name, rows):
    if name == "text":
        ids, mask = seeded_texts(name, rows)
        return {"ids": torch.tensor(ids), "mask": torch.tensor(mask)}
    return {"image": torch.tensor(seeded_images(name, rows))}


def export(name, path):
    """The file, and for each initializer that is a parameter its name and whether the file has it transposed."""
    how, opset, _ = EXPORTS[name]
    model = fill(name, NETWORKS[name]["make"]())
    inputs = inputs_of(name, (0, 1))
    names = list(inputs)
    options = {"opset_version": opset, "input_names": names, "output_names": ["logits"]}
    if how == "classic":
        options["dynamic_axes"] = {n: {0: "batch"} for n in [*names, "logits"]}
        if name == "resnet18":  # leaves BatchNormalization in
            options |= {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
        torch.onnx.export(copy.deepcopy(model), tuple(inputs.values()), path, dynamo=False, **options)
    else:
        open_axes = {0: torch.export.Dim("batch")}
        if name == "mobilenet-v2":
            open_axes |= {2: torch.export.Dim("height", min=32), 3: torch.export.Dim("width", min=32)}
        shapes = tuple(open_axes for _ in names)
        torch.onnx.export(copy.deepcopy(model), tuple(inputs.values()), path, dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False, **options)
    proto = onnx.load(path)
    # What the new exporter tells about itself is many times the graph.
    for part in [proto, proto.graph, *proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output, *proto.graph.initializer]:
        del part.metadata_props[:]
    same = fused(model) if NETWORKS[name].get("fused") else model
    known = {key: t.detach().numpy() for key, t in list(same.named_parameters()) + list(same.named_buffers()) if t.is_floating_point()}
    found = {}
    for initializer in proto.graph.initializer:
        value = numpy_helper.to_array(initializer)
        matches = [
            (key, form) for key, p in known.items() for form, view in (("same", p), ("transposed", p.T if p.ndim == 2 else p))
            if view.shape == value.shape and value.dtype == np.float32 and np.allclose(view, value, rtol=1e-5, atol=1e-6)
        ]
        if matches:
            found[initializer.name] = matches[0]
        assert matches or value.size <= 64, initializer.name
    assert sorted(key for key, _ in found.values()) == sorted(known), set(known) ^ {key for key, _ in found.values()}
    return proto, found


def without_weights(proto, found):
    """The same graph, its weights declared as inputs."""
    skeleton = copy.deepcopy(proto)
    for initializer in proto.graph.initializer:
        if initializer.name in found:
            skeleton.graph.input.append(helper.make_tensor_value_info(initializer.name, initializer.data_type, list(initializer.dims)))
    keep = [i for i in proto.graph.initializer if i.name not in found]
    del skeleton.graph.initializer[:]
    skeleton.graph.initializer.extend(keep)
    onnx.checker.check_model(skeleton, full_check=True)
    return skeleton


def evaluate(name, model, inputs, labels):
    """Logits, losses, gradient at the images or at the embedding, all in the dtype of the model."""
    dtype = next(model.parameters()).dtype
    if name == "text":
        point = model.embedding(inputs["ids"]).detach().requires_grad_(True)
        logits = model.from_embedding(point, inputs["mask"])
    else:
        point = inputs["image"].to(dtype, copy=True).requires_grad_(True)
        logits = model(point)
    each = F.cross_entropy(logits, labels, reduction="none")
    model.zero_grad()
    each.sum().backward()
    return logits.detach(), each.detach(), point.grad


def largest_difference(gradient, reference):
    """By row, relative to the row's largest entry."""
    difference = (gradient.double() - reference).abs().flatten(1).amax(1)
    return difference / reference.abs().flatten(1).amax(1)


def unsteadiness(name, model, inputs, labels, draws=16, noise=3e-7):
    """How far the gradient moves when the output of each layer moves by some times what float32 rounds; 1e-4 is too far to go on."""
    reference = evaluate(name, model, inputs, labels)[2]
    generator = torch.Generator().manual_seed(0)

    def shake(module, given, output):
        return output + noise * output.std() * torch.randn(output.shape, generator=generator, dtype=output.dtype)

    hooks = [m.register_forward_hook(shake) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear, *NORMS))]
    worst = 0.0
    for _ in range(draws):
        if worst < 1e-4:
            worst = max(worst, float(largest_difference(evaluate(name, model, inputs, labels)[2], reference).max()))
    for hook in hooks:
        hook.remove()
    return worst


def search(name, rows=2000):
    model = seeded_model(name).double().requires_grad_(False)
    steady = 0
    for row in range(rows):
        label = torch.tensor([NETWORKS[name]["labels"][steady]])
        difference = unsteadiness(name, model, inputs_of(name, [row]), label)
        print(name, row, f"{difference:.1e}", flush=True)
        steady += difference < 1e-4
        if steady == 2:
            return


def write(name):
    how, _, every = EXPORTS[name]
    path = os.path.join(OUT, name + ".onnx")
    proto, found = export(name, path)
    onnx.save(without_weights(proto, found), path)

    model = seeded_model(name)
    tensors = {key: t.detach().numpy() for key, t in list(model.named_parameters()) + list(model.named_buffers())}
    inputs = inputs_of(name, NETWORKS[name]["rows"])
    labels = torch.tensor(NETWORKS[name]["labels"])
    exact = copy.deepcopy(model).double()
    logits, each, gradient = evaluate(name, exact, inputs, labels)
    logits32, _, gradient32 = evaluate(name, model, inputs, labels)
    rough = float(largest_difference(gradient32, gradient).max())
    shaken = max(
        unsteadiness(name, copy.deepcopy(exact), inputs_of(name, [row]), labels[i : i + 1]) for i, row in enumerate(NETWORKS[name]["rows"])
    )
    assert rough < 1e-5 and shaken < 1e-4, (name, "a kink is near", rough, shaken)

    digest = hashlib.sha256()
    for initializer in proto.graph.initializer:
        if initializer.name in found:
            key, form = found[initializer.name]
            value = np.ascontiguousarray(tensors[key].T if form == "transposed" else tensors[key])
            initializer.CopyFrom(numpy_helper.from_array(value, initializer.name))
            digest.update(value.tobytes())
    actual, = session(proto).run(None, {key: t.numpy() for key, t in inputs.items()})
    forward = relative_difference(actual, logits)
    assert forward < 1e-4, (name, forward)

    weights = []
    parameters = dict(exact.named_parameters())
    for initializer in proto.graph.initializer:
        if initializer.name in found:
            key, form = found[initializer.name]
            offset, scale = rules(name, model)[key]
            weight = {
                "initializer": initializer.name, "parameter": key, "form": form, "shape": list(initializer.dims), "offset": number(offset), "scale": number(scale)
            }
            if key in parameters and key != "embedding.weight":
                g = parameters[key].grad.numpy()
                flat = (g.T if form == "transposed" else g).reshape(-1)
                at = hashes(f"{name}/{key}/gradient", 4) % np.uint32(flat.size)
                weight["gradient"] = {"norm": number(np.linalg.norm(flat)), "largest": number(np.abs(flat).max()), "at": at.tolist(), "values": numbers(flat[at])}
            weights.append(weight)

    flat = gradient.flatten(1)
    row = {
        "about": "What PyTorch answers in float64 for the file beside it with weights from a seed; see README.md",
        "name": name, "exporter": how, "versions": VERSIONS, "opset": {o.domain: o.version for o in proto.opset_import}, "irVersion": proto.ir_version,
        "bytes": os.path.getsize(path), "sha256": hashlib.sha256(open(path, "rb").read()).hexdigest(), "operators": sorted({n.op_type for n in proto.graph.node}),
        "input": {"name": list(inputs)[0], "shape": list(NETWORKS[name]["input"]), "rows": list(NETWORKS[name]["rows"])},
        "labels": labels.tolist(),
        "logits": {"shape": list(logits.shape), "values": numbers(logits.numpy())},
        "crossEntropy": numbers(each.numpy()),
        "inputGradient": {
            "norm": numbers(flat.norm(dim=1).numpy()), "largest": numbers(flat.abs().amax(1).numpy()), "every": every,
            "values": [numbers(r[::every].numpy()) for r in flat],
        },
        "weightsSha256": digest.hexdigest(),
        "inputsSha256": hashlib.sha256(b"".join(t.numpy().tobytes() for t in inputs.values())).hexdigest(),
    }
    if name == "text":
        table = [w["initializer"] for w in weights if w["parameter"] == "embedding.weight"][0]
        row["differentiateAt"] = [n.output[0] for n in proto.graph.node if n.op_type == "Gather" and n.input[0] == table][0]
    with open(os.path.join(OUT, name + ".json"), "w") as file:
        lines = [json.dumps(k) + ": " + json.dumps(v, separators=(",", ":")) for k, v in row.items()]
        lines.append('"weights": [\n' + ",\n".join(json.dumps(w, separators=(",", ":")) for w in weights) + "\n]")
        file.write("{\n" + ",\n".join(lines) + "\n}\n")
    assert b"site-packages" not in open(path, "rb").read() and HERE.encode() not in open(path, "rb").read(), name
    print(
        f"{name:13} {how:8} {row['opset']} {sum(t.size for t in tensors.values()):9} numbers {row['bytes']:6} + {os.path.getsize(path[:-5] + '.json'):6} bytes, "
        f"forward {forward:.1e} gradient {rough:.1e} shaken {shaken:.1e}, logits {float(logits.std()):.2g}, between rows {float((logits[0] - logits[1]).std()):.2g}"
    )


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    names = sys.argv[2:] or list(NETWORKS)
    for each in names:
        search(each) if sys.argv[1:2] == ["search"] else write(each)
