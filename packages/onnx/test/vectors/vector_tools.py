"""What the generators of this folder share: inputs away from kinks, printing of numbers, one-node ONNX models."""
import json
import math
import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper

torch.set_num_threads(1)
ort.set_default_logger_severity(4)

MARGIN = 1e-3  # no single entry meets a kink or a tie when it is moved by this much

ONNX_TYPE = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "bool": TensorProto.BOOL,
    "string": TensorProto.STRING,
}


def number(value):
    """A JSON number of 9 significant digits."""
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    value = float(value)
    if not math.isfinite(value):
        raise ValueError("not finite")
    rounded = float("%.9g" % value)
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 1e15 else rounded


def numbers(array):
    return [number(v) for v in np.asarray(array).reshape(-1)]


def distinct(rng, shape, low=-2.0, high=2.0, offset=0.0):
    """Distinct odd multiples of 1/128 (1/256 or finer for large arrays), shuffled: exact in float32, never nearer than
    one step to 0, never nearer than two steps to each other. `offset` shifts by a share of a step, so that two arrays do not tie."""
    size = int(np.prod(shape))
    unit = 128
    while True:
        grid = np.arange(math.ceil(low * unit), math.floor(high * unit) + 1)
        grid = grid[grid % 2 != 0] / unit
        if len(grid) >= size:
            break
        unit *= 2
    values = rng.permutation(grid)[:size].reshape(shape) + offset / unit
    assert np.all(values == values.astype(np.float32))
    return values


def coarse(rng, shape, low=-1.0, high=1.0):
    """Multiples of 1/64 that may repeat: for weights and cotangents."""
    return rng.integers(math.ceil(low * 64), math.floor(high * 64) + 1, size=shape) / 64


def attribute_type(value):
    if isinstance(value, str):
        return "string"
    if isinstance(value, (list, tuple)):
        return "floats" if any(isinstance(v, float) for v in value) else "ints"
    return "float" if isinstance(value, float) else "int"


def session(model):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def ir_version(opset):
    return 8 if opset <= 18 else 9 if opset <= 20 else 10


def relative_difference(actual, expected):
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if actual.shape != expected.shape:
        return math.inf
    if actual.size == 0:
        return 0.0
    return float(np.max(np.abs(actual - expected)) / max(1e-3, np.max(np.abs(expected))))


def write_lines(path, head, key, rows):
    """JSON with one line for every case, so that a change is seen in a diff."""
    with open(path, "w") as file:
        file.write("{\n")
        for name, value in head.items():
            file.write(json.dumps(name) + ": " + json.dumps(value) + ",\n")
        file.write(json.dumps(key) + ": [\n")
        file.write(",\n".join(json.dumps(row, separators=(",", ":")) for row in rows))
        file.write("\n]\n}\n")
