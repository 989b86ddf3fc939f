"""Keras models as tf2onnx writes them (NHWC at the input): models/keras-*.onnx and .json, with TensorFlow's gradients in float64."""
import hashlib
import json
import math
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
import keras
import numpy as np
import onnx
import onnxruntime as ort
import tensorflow as tf
import tf2onnx
from keras import layers
from onnx import numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "models")


def number(value):
    value = float("%.9g" % float(value))
    assert math.isfinite(value)
    return int(value) if value == int(value) and abs(value) < 1e15 else value


def numbers(array):
    return [number(v) for v in np.asarray(array).reshape(-1)]


def write(name, make, shape, seed, opset, softmax=False):
    keras.utils.set_random_seed(seed)
    model = make("float32")
    r = np.random.default_rng(seed)
    weights = []
    for v in model.weights:
        w = v.numpy()
        if w.ndim == 1:  # biases, and scales and statistics of normalisation
            w = np.float32(r.uniform(0.5, 1.5, w.shape) if v.name in ("gamma", "moving_variance") else r.normal(scale=0.2, size=w.shape))
        weights.append(w)
    model.set_weights(weights)
    model64 = make("float64")
    model64.set_weights([w.astype(np.float64) for w in weights])
    inputs = np.float32(np.round(r.random((3, *shape)) * 255) / 255)
    classes = model.output_shape[-1]
    labels = r.integers(0, classes, 3)
    path = os.path.join(OUT, name + ".onnx")
    signature = (tf.TensorSpec((None, *shape), tf.float32, name="input"),)
    function = tf.function(lambda t: model(t, training=False), input_signature=signature)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=opset)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)
    x64 = tf.constant(inputs.astype(np.float64))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x64)
        answer = model64(x64, training=False)
        logits = tf.math.log(answer) if softmax else answer
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        total = tf.reduce_sum(each)
    gradient = tape.gradient(total, x64).numpy()
    actual = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {proto.graph.input[0].name: inputs})[0]
    difference = np.abs(actual - answer.numpy()).max() / np.abs(answer.numpy()).max()
    assert difference < 1e-5, difference
    x32 = tf.constant(inputs)
    with tf.GradientTape() as tape32:
        tape32.watch(x32)
        answer32 = model(x32, training=False)
        total32 = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.math.log(answer32) if softmax else answer32))
    rough = np.abs(tape32.gradient(total32, x32).numpy() - gradient).max() / np.abs(gradient).max()
    assert rough < 1e-4, ("a kink is near", rough)
    row = {
        "about": "What Keras answers for the file beside it, in float64; see README.md",
        "name": name, "exporter": "tf2onnx",
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__, "tf2onnx": tf2onnx.__version__, "onnx": onnx.__version__, "onnxruntime": ort.__version__, "numpy": np.__version__},
        "opset": {o.domain: o.version for o in proto.opset_import}, "irVersion": proto.ir_version,
        "bytes": os.path.getsize(path), "sha256": hashlib.sha256(open(path, "rb").read()).hexdigest(), "operators": sorted({n.op_type for n in proto.graph.node}),
        "input": {"name": proto.graph.input[0].name, "dtype": "float32", "shape": list(inputs.shape), "values": numbers(inputs)},
        "output": {"name": proto.graph.output[0].name, "shape": list(answer.shape), "values": numbers(answer.numpy())},
        "probabilities": softmax,
        "labels": labels.tolist(),
        "logits": {"shape": list(logits.shape), "values": numbers(logits.numpy())},
        "crossEntropy": numbers(each.numpy()),
        "inputGradient": {"shape": list(gradient.shape), "values": numbers(gradient)},
        "parameters": [],
    }
    for v, v64 in zip(model.trainable_variables, model64.trainable_variables):
        g = tape.gradient(total, v64).numpy().reshape(-1)
        row["parameters"].append({"parameter": "/".join(v.path.split("/")[-2:]), "shape": list(v.shape), "norm": number(np.linalg.norm(g)), "sum": number(g.sum()), "first": numbers(g[:8])})
    assert HERE not in open(path, "rb").read().decode("latin-1")
    with open(path[:-5] + ".json", "w") as file:
        file.write("{\n" + ",\n".join(json.dumps(k) + ": " + json.dumps(v, separators=(",", ":")) for k, v in row.items()) + "\n}\n")
    print(name, row["bytes"], [n.op_type for n in proto.graph.node])


def cnn(dtype):
    return keras.Sequential([
        layers.Input((14, 14, 1), dtype=dtype),
        layers.Conv2D(8, 4, strides=2, padding="same", activation="relu", dtype=dtype),
        layers.Conv2D(12, 3, padding="valid", dtype=dtype),
        layers.BatchNormalization(dtype=dtype),
        layers.LeakyReLU(dtype=dtype),
        layers.MaxPooling2D(3, strides=2, padding="same", dtype=dtype),
        layers.Flatten(dtype=dtype),
        layers.Dropout(0.3, dtype=dtype),
        layers.Dense(10, dtype=dtype),
    ])


def separable(dtype):
    given = layers.Input((12, 12, 3), dtype=dtype)
    y = layers.SeparableConv2D(8, 3, padding="same", activation="swish", dtype=dtype)(given)
    y = layers.DepthwiseConv2D(3, strides=2, padding="same", dtype=dtype)(y)
    y = layers.BatchNormalization(dtype=dtype)(y)
    y = layers.ReLU(6.0, dtype=dtype)(y)
    z = layers.Conv2D(8, 1, dtype=dtype)(y)
    y = layers.Concatenate(dtype=dtype)([layers.Add(dtype=dtype)([y, z]), y])
    y = layers.AveragePooling2D(2, padding="same", dtype=dtype)(y)
    y = layers.GlobalAveragePooling2D(dtype=dtype)(y)
    y = layers.LayerNormalization(dtype=dtype)(y)
    return keras.Model(given, layers.Dense(5, activation="softmax", dtype=dtype)(y))


def series(dtype):
    return keras.Sequential([
        layers.Input((20, 2), dtype=dtype),
        layers.Conv1D(6, 5, padding="causal", activation="tanh", dtype=dtype),
        layers.MaxPooling1D(2, dtype=dtype),
        layers.Conv1D(6, 3, padding="same", activation="softplus", dtype=dtype),
        layers.GlobalMaxPooling1D(dtype=dtype),
        layers.Dense(4, activation="elu", dtype=dtype),
        layers.Dense(3, dtype=dtype),
    ])


if __name__ == "__main__":
    write("keras-cnn", cnn, (14, 14, 1), 1, 13)
    write("keras-separable-softmax", separable, (12, 12, 3), 2, 17, softmax=True)
    write("keras-series", series, (20, 2), 3, 15)
