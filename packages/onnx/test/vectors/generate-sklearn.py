"""Scikit-learn's models as skl2onnx writes them: models/sklearn-*.onnx and .json (black boxes, and a perceptron with a gradient)."""
import hashlib
import json
import os

import numpy as np
import onnx
import onnxruntime as ort
import skl2onnx
import sklearn
import torch
import torch.nn.functional as F
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from vector_tools import *

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "models")
r = np.random.default_rng(1)
centres = np.array([[0.25, 0.25, 0.5, 0.75], [0.75, 0.5, 0.25, 0.25], [0.5, 0.75, 0.75, 0.5]])
y = r.integers(0, 3, 150)
x = np.float32(np.round(np.clip(centres[y] + r.normal(scale=0.17, size=(150, 4)), 0, 1) * 128) / 128)
rows, labels = x[:6], y[:6]


def write(name, model, options=None, target=17, gradient=None):
    proto = to_onnx(model, initial_types=[("X", FloatTensorType([None, 4]))], options=options, target_opset={"": target, "ai.onnx.ml": 3}, name=name)
    onnx.checker.check_model(proto)
    path = os.path.join(OUT, name + ".onnx")
    onnx.save(proto, path)
    label, answer = session(proto).run(None, {"X": rows})
    probabilities = model.predict_proba(rows)
    if isinstance(answer, list):
        answer = np.array([[v[k] for k in sorted(v)] for v in answer])
    assert np.array_equal(label, model.predict(rows)) and np.abs(answer - probabilities).max() < 1e-5, name
    row = {
        "about": "What scikit-learn answers for the file beside it; see README.md",
        "name": name, "exporter": "skl2onnx",
        "versions": {"skl2onnx": skl2onnx.__version__, "scikit-learn": sklearn.__version__, "onnx": onnx.__version__, "onnxruntime": ort.__version__, "numpy": np.__version__},
        "opset": {o.domain: o.version for o in proto.opset_import}, "irVersion": proto.ir_version,
        "bytes": os.path.getsize(path), "sha256": hashlib.sha256(open(path, "rb").read()).hexdigest(), "operators": sorted({n.op_type for n in proto.graph.node}),
        "input": {"name": "X", "dtype": "float32", "shape": list(rows.shape), "values": numbers(rows)},
        "outputs": [o.name for o in proto.graph.output],
        "labels": labels.tolist(), "predicted": label.tolist(),
        "probabilities": {"shape": list(probabilities.shape), "values": numbers(probabilities)},
    }
    if gradient:
        t = torch.tensor(rows).double().requires_grad_(True)
        logits = gradient(t)
        assert torch.allclose(torch.softmax(logits, 1), torch.tensor(probabilities).double(), atol=1e-6), name
        each = F.cross_entropy(logits, torch.tensor(labels), reduction="none")
        g, = torch.autograd.grad(each.sum(), t)
        row["logits"] = {"shape": list(logits.shape), "values": numbers(logits.detach().numpy())}
        row["crossEntropy"] = numbers(each.detach().numpy())
        row["inputGradient"] = {"shape": list(g.shape), "values": numbers(g.numpy())}
    with open(path[:-5] + ".json", "w") as file:
        file.write("{\n" + ",\n".join(json.dumps(k) + ": " + json.dumps(v, separators=(",", ":")) for k, v in row.items()) + "\n}\n")
    print(name, row["bytes"], row["operators"])


def linear(model):
    w, b = torch.tensor(model.coef_).double(), torch.tensor(model.intercept_).double()
    return lambda t: t @ w.T + b


def perceptron(model, scaler=None):
    def logits(t):
        if scaler is not None:
            t = (t - torch.tensor(scaler.mean_)) / torch.tensor(scaler.scale_)
        for i, (w, b) in enumerate(zip(model.coefs_, model.intercepts_)):
            t = t @ torch.tensor(w).double() + torch.tensor(b).double()
            if i < len(model.coefs_) - 1:
                t = {"relu": torch.relu, "tanh": torch.tanh}[model.activation](t)
        return torch.cat([torch.zeros_like(t), t], 1) if t.shape[1] == 1 else t

    return logits


logistic = LogisticRegression(max_iter=500).fit(x, y)
write("sklearn-logistic-zipmap", logistic, gradient=linear(logistic))
write("sklearn-logistic", logistic, {id(logistic): {"zipmap": False}}, gradient=linear(logistic))
forest = RandomForestClassifier(8, max_depth=4, random_state=1).fit(x, y)
write("sklearn-forest-zipmap", forest)
write("sklearn-forest", forest, {id(forest): {"zipmap": False}})
mlp = MLPClassifier((12,), activation="relu", random_state=1, max_iter=400).fit(x, y)
write("sklearn-mlp", mlp, {id(mlp): {"zipmap": False}}, gradient=perceptron(mlp))
scaled = make_pipeline(StandardScaler(), MLPClassifier((10, 8), activation="tanh", random_state=2, max_iter=400)).fit(x, y)
write("sklearn-scaled-mlp-zipmap", scaled, gradient=perceptron(scaled[-1], scaled[0]))
y = (y > 0).astype(int)
labels = y[:6]
binary = MLPClassifier((6,), activation="tanh", random_state=3, max_iter=400).fit(x, y)
write("sklearn-binary-mlp", binary, {id(binary): {"zipmap": False}}, gradient=perceptron(binary))
