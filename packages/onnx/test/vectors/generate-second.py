"""Second derivatives of small graphs by PyTorch's double backward in float64: second.json.

A graph is a list of ONNX nodes. The same list is run by onnxruntime (float32, the outputs are compared) and by the
interpreter below (PyTorch, float64). loss = sum of the cross-entropies of the rows; penalty = |d loss / d x|^2, the sum of
squares over all entries; wanted: the penalty's gradient with respect to x and to every weight.
"""
import json
import os

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper
from vector_tools import *

HERE = os.path.dirname(os.path.abspath(__file__))
rows = []


def max_pool(t, a):
    return F.max_pool2d(F.pad(t, (a["pads"][1], a["pads"][3], a["pads"][0], a["pads"][2]), value=float("-inf")) if "pads" in a else t, a["kernel_shape"], a["strides"])


def layer_norm(t, a, g, b):
    m = t.mean(-1, keepdim=True)
    return (t - m) / torch.sqrt(t.var(-1, unbiased=False, keepdim=True) + a["epsilon"]) * g + b


def batch_norm(t, a, g, b, mean, var):
    s = [1, -1] + [1] * (t.dim() - 2)
    if a.get("training_mode"):
        axes = [0] + list(range(2, t.dim()))
        mean, var = t.mean(axes), t.var(axes, unbiased=False)
    return (t - mean.reshape(s)) / torch.sqrt(var.reshape(s) + a["epsilon"]) * g.reshape(s) + b.reshape(s)


def conv(t, a, w, b=None):
    p = a.get("pads", [0, 0, 0, 0])
    return F.conv2d(F.pad(t, (p[1], p[3], p[0], p[2])), w, b, a.get("strides", [1, 1]), 0, 1, a.get("group", 1))


RUN = {
    "Gemm": lambda a, x, w, b: x @ (w.T if a.get("transB") else w) + b,
    "MatMul": lambda a, x, y: x @ y,
    "Add": lambda a, x, y: x + y,
    "Mul": lambda a, x, y: x * y,
    "Div": lambda a, x, y: x / y,
    "Sub": lambda a, x, y: x - y,
    "Tanh": lambda a, x: torch.tanh(x),
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "Softplus": lambda a, x: F.softplus(x),
    "Relu": lambda a, x: F.relu(x),
    "Elu": lambda a, x: F.elu(x, a.get("alpha", 1.0)),
    "Gelu": lambda a, x: F.gelu(x, approximate=a.get("approximate", "none")),
    "Erf": lambda a, x: torch.erf(x),
    "Exp": lambda a, x: torch.exp(x),
    "Conv": lambda a, x, *w: conv(x, a, *w),
    "MaxPool": lambda a, x: max_pool(x, a),
    "AveragePool": lambda a, x: F.avg_pool2d(x, a["kernel_shape"], a["strides"]),
    "GlobalAveragePool": lambda a, x: x.mean((2, 3), keepdim=True),
    "Flatten": lambda a, x: x.flatten(1),
    "Transpose": lambda a, x: x.permute(*a["perm"]),
    "Softmax": lambda a, x: torch.softmax(x, a["axis"]),
    "LayerNormalization": lambda a, x, g, b: layer_norm(x, a, g, b),
    "BatchNormalization": lambda a, x, g, b, m, v: batch_norm(x, a, g, b, m, v),
    "ReduceMean": lambda a, x: x.mean(a["axes"], keepdim=bool(a["keepdims"])),
    "ConvTranspose": lambda a, x, w, b: F.conv_transpose2d(x, w, b, a["strides"]),
}


class Graph:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.weights, self.fixed = [], {}, set()

    def weight(self, name, *shape, low=-1.0, high=1.0, fixed=False):
        self.weights[name] = coarse(self.rng, shape, low, high)
        if fixed:
            self.fixed.add(name)
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append({"op": op, "inputs": inputs, "outputs": [output] + ([output + "_mean", output + "_var"] if attributes.get("training_mode") else []), "attributes": attributes, "attributeTypes": {k: attribute_type(v) for k, v in attributes.items()}})
        return output


def record(name, graph, shape, labels, opset=17):
    data = distinct(graph.rng, shape)

    def forward(x, weights):
        values = {"x": x, **weights}
        for n in graph.nodes:
            values[n["outputs"][0]] = RUN[n["op"]](n["attributes"], *[values[i] for i in n["inputs"]])
        return values["logits"]

    def answers(x, weights):
        logits = forward(x, weights)
        loss = F.cross_entropy(logits, torch.tensor(labels), reduction="sum")
        g, = torch.autograd.grad(loss, x, create_graph=True)
        return logits, loss, g, g.square().sum()

    x = torch.tensor(data, requires_grad=True)
    weights = {k: torch.tensor(v, requires_grad=k not in graph.fixed) for k, v in graph.weights.items()}
    logits, loss, g, penalty = answers(x, weights)
    trainable = [k for k in weights if k not in graph.fixed]
    results = torch.autograd.grad(penalty, [x] + [weights[k] for k in trainable], allow_unused=True)
    results = [torch.zeros_like(t) if r is None else r for r, t in zip(results, [x] + [weights[k] for k in trainable])]
    first = torch.autograd.grad(F.cross_entropy(forward(x, weights), torch.tensor(labels), reduction="sum"), [weights[k] for k in trainable])
    # central differences of the penalty
    h, worst = 1e-5, 0.0
    for tensor, result in zip([x] + [weights[k] for k in trainable], results):
        estimate = torch.zeros_like(result).reshape(-1)
        flat = tensor.data.view(-1)
        for i in range(flat.numel()):
            old = float(flat[i])
            flat[i] = old + h
            up = answers(x, weights)[3].item()
            flat[i] = old - h
            down = answers(x, weights)[3].item()
            flat[i] = old
            estimate[i] = (up - down) / (2 * h)
        worst = max(worst, float((estimate - result.reshape(-1)).abs().max() / max(1.0, float(result.abs().max()))))
    assert worst < 1e-5, (name, worst)
    nodes = [helper.make_node(n["op"], n["inputs"], n["outputs"], **n["attributes"]) for n in graph.nodes]
    onnx_graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("x", 1, shape)], [helper.make_tensor_value_info("logits", 1, list(logits.shape))],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in graph.weights.items()],
    )
    model = helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version(opset))
    onnx.checker.check_model(model, full_check=True)
    actual = session(model).run(None, {"x": data.astype(np.float32)})[0]
    off = relative_difference(actual, logits.detach())
    assert off < 1e-5, (name, off)

    def packed(t):
        t = t.detach().numpy() if isinstance(t, torch.Tensor) else t
        return {"shape": list(t.shape), "values": numbers(t)}

    rows.append({
        "name": name, "opset": opset, "nodes": graph.nodes, "x": packed(data), "labels": labels,
        "weights": {k: {**packed(v), "trainable": k not in graph.fixed} for k, v in graph.weights.items()},
        "logits": packed(logits), "loss": number(loss.item()), "inputGradient": packed(g), "weightGradients": {k: packed(v) for k, v in zip(trainable, first)},
        "penalty": number(penalty.item()), "penaltyInputGradient": packed(results[0]), "penaltyWeightGradients": {k: packed(r) for k, r in zip(trainable, results[1:])},
    })
    print(f"{name:28} penalty {penalty.item():.4g} central differences {worst:.1e} forward {off:.1e}")


g = Graph(1)
g.node("Gemm", ["x", g.weight("w1", 6, 5), g.weight("b1", 6)], "h1", transB=1)
g.node("Tanh", ["h1"], "h2")
g.node("Gemm", ["h2", g.weight("w2", 4, 6), g.weight("b2", 4)], "logits", transB=1)
record("tanh-mlp", g, (3, 5), [0, 2, 3])

g = Graph(2)
g.node("Conv", ["x", g.weight("w1", 3, 1, 3, 3), g.weight("b1", 3)], "c1", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
g.node("Softplus", ["c1"], "s1")
g.node("AveragePool", ["s1"], "p1", kernel_shape=[2, 2], strides=[2, 2])
g.node("Conv", ["p1", g.weight("w2", 2, 3, 2, 2), g.weight("b2", 2)], "c2", kernel_shape=[2, 2], strides=[2, 2])
g.node("Sigmoid", ["c2"], "s2")
g.node("Flatten", ["s2"], "f")
g.node("Gemm", ["f", g.weight("w3", 3, 2), g.weight("b3", 3)], "logits", transB=1)
record("conv-softplus-average-pool", g, (2, 1, 5, 5), [1, 2])

g = Graph(3)
g.node("Conv", ["x", g.weight("w1", 4, 2, 3, 3), g.weight("b1", 4)], "c1", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])
g.node("Elu", ["c1"], "e1", alpha=1.0)
g.node("MaxPool", ["e1"], "p1", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
g.node("Conv", ["p1", g.weight("w2", 4, 1, 3, 3)], "c2", kernel_shape=[3, 3], group=4, pads=[0, 1, 1, 0])
g.node("Tanh", ["c2"], "t2")
g.node("GlobalAveragePool", ["t2"], "p2")
g.node("Flatten", ["p2"], "f")
g.node("Gemm", ["f", g.weight("w3", 4, 3), g.weight("b3", 3)], "logits")
record("conv-max-pool-depthwise", g, (2, 2, 6, 5), [0, 2])

g = Graph(4)
g.node("MatMul", ["x", g.weight("w1", 5, 6)], "h1")
g.node("LayerNormalization", ["h1", g.weight("g1", 6, low=0.5, high=1.5), g.weight("b1", 6)], "n1", axis=-1, epsilon=float(np.float32(1e-5)))
g.node("Gelu", ["n1"], "a1")
g.node("MatMul", ["a1", g.weight("w2", 6, 3)], "logits")
record("layer-norm-gelu", g, (3, 5), [2, 0, 1], 20)

g = Graph(5)
for name in "qkv":
    g.node("MatMul", ["x", g.weight("w" + name, 4, 4)], name)
g.node("Transpose", ["k"], "kt", perm=[0, 2, 1])
g.node("MatMul", ["q", "kt"], "scores")
g.node("Mul", ["scores", g.weight("half", fixed=True, low=0.5, high=0.5)], "scaled")
g.node("Softmax", ["scaled"], "attention", axis=-1)
g.node("MatMul", ["attention", "v"], "mixed")
g.node("Add", ["mixed", "x"], "residual")
g.node("ReduceMean", ["residual"], "mean", axes=[1], keepdims=0)
g.node("Gemm", ["mean", g.weight("wo", 3, 4), g.weight("bo", 3)], "logits", transB=1)
record("softmax-attention", g, (2, 3, 4), [1, 0])

for training in (0, 1):
    g = Graph(6 + training)
    g.node("Conv", ["x", g.weight("w1", 3, 1, 2, 2)], "c1", kernel_shape=[2, 2])
    attributes = {"epsilon": float(np.float32(1e-3))}
    if training:
        attributes["training_mode"] = 1
    g.node("BatchNormalization", ["c1", g.weight("g1", 3, low=0.5, high=1.5), g.weight("b1", 3), g.weight("m1", 3, fixed=True), g.weight("v1", 3, low=0.5, high=1.5, fixed=True)], "n1", **attributes)
    g.node("Softplus", ["n1"], "s1")
    g.node("Flatten", ["s1"], "f")
    g.node("Gemm", ["f", g.weight("w2", 3, 27), g.weight("b2", 3)], "logits", transB=1)
    record("batch-norm-training" if training else "batch-norm-inference", g, (3, 1, 4, 4), [0, 1, 2])

g = Graph(8)
g.node("Gemm", ["x", g.weight("w1", 7, 4), g.weight("b1", 7)], "h1", transB=1)
g.node("Relu", ["h1"], "r1")
g.node("Gemm", ["r1", g.weight("w2", 6, 7), g.weight("b2", 6)], "h2", transB=1)
g.node("Sigmoid", ["h2"], "gate")
g.node("Mul", ["h2", "gate"], "silu")
g.node("Gemm", ["silu", g.weight("w3", 3, 6), g.weight("b3", 3)], "logits", transB=1)
record("relu-silu-mlp", g, (3, 4), [2, 1, 0])

g = Graph(9)
g.node("ConvTranspose", ["x", g.weight("w1", 2, 2, 2, 2), g.weight("b1", 2)], "t1", kernel_shape=[2, 2], strides=[2, 2])
g.node("Erf", ["t1"], "e1")
g.node("Exp", ["e1"], "e2")
g.node("Div", ["e1", "e2"], "d1")
g.node("Flatten", ["d1"], "f")
g.node("Gemm", ["f", g.weight("w2", 3, 32, low=-0.5, high=0.5), g.weight("b2", 3)], "logits", transB=1)
record("transpose-erf-division", g, (2, 2, 2, 2), [0, 1])

write_lines(
    os.path.join(HERE, "second.json"),
    {
        "about": "Gradients of |d loss / d x|^2 for small graphs, in float64 by PyTorch; see README.md",
        "versions": {"torch": torch.__version__.split("+")[0], "onnx": onnx.__version__, "onnxruntime": ort.__version__, "numpy": np.__version__},
    },
    "cases",
    rows,
)
print(len(rows), "graphs", os.path.getsize(os.path.join(HERE, "second.json")), "bytes")
