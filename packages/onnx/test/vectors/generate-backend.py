"""Packs ONNX's own node test cases into backend/index.json and backend/cases.bin.

Usage: python generate-backend.py onnx-1.22.0-*.whl   (a wheel from PyPI, opened as a zip; onnx 1.23 no longer ships the cases)
"""
import hashlib
import json
import os
import re
import sys
import zipfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper
from vector_tools import session

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "backend")
LIMIT = 20_000
OPERATORS = set("""
Conv ConvTranspose Gemm MatMul Einsum Add Sub Mul Div Pow Neg Exp Log Sqrt Abs Sin Cos Erf Tanh Sigmoid Relu LeakyRelu PRelu Elu Selu Gelu
HardSwish HardSigmoid Softplus Softsign Mish Clip Min Max Where MaxPool AveragePool GlobalAveragePool GlobalMaxPool BatchNormalization
LayerNormalization InstanceNormalization GroupNormalization Softmax LogSoftmax ReduceSum ReduceMean ReduceMax ReduceMin ReduceL1 ReduceL2
ReduceProd ReduceLogSumExp ReduceSumSquare ReduceLogSum Reshape Flatten Transpose Concat Split Slice Squeeze Unsqueeze Expand Tile Pad Gather
GatherElements GatherND ScatterND ScatterElements Resize Trilu Identity Dropout Cast Constant CumSum Reciprocal Sum Mean
Shape ConstantOfShape Range Equal Less LessOrEqual Greater GreaterOrEqual Not And Or Floor Ceil Round Sign Mod ArgMax ArgMin TopK
DepthToSpace SpaceToDepth CastLike Size NonZero OneHot IsNaN IsInf
""".split())
TYPES = {np.dtype(n): n for n in ("float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool")}

archive = zipfile.ZipFile(sys.argv[1])
version = re.match(r"onnx-([\d.]+)-", os.path.basename(sys.argv[1]))[1]
names = archive.namelist()
prefix = "onnx/backend/test/data/node/"
folders = sorted({n[len(prefix):].split("/")[0] for n in names if n.startswith(prefix) and n.endswith("model.onnx")})
listing = {}
for n in names:
    if n.startswith(prefix):
        listing.setdefault(n[len(prefix):].split("/")[0], []).append(n)

blob = bytearray()
places = {}


def put(data):
    key = hashlib.sha256(data).digest()
    if key not in places:
        while len(blob) % 8:
            blob.append(0)
        places[key] = len(blob)
        blob.extend(data)
    return [places[key], len(data)]


def tensor(data, info):
    if not info.type.HasField("tensor_type"):
        raise LookupError("not a tensor")
    proto = onnx.TensorProto()
    proto.ParseFromString(data)
    if proto.data_type not in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13):
        raise LookupError("a type without a typed array")
    return numpy_helper.to_array(proto)


def entry(name, array):
    array = np.ascontiguousarray(array)
    return {"name": name, "dtype": TYPES[array.dtype], "shape": list(array.shape), "data": put(array.tobytes())}


cases, skipped = [], {}


def skip(why):
    skipped[why] = skipped.get(why, 0) + 1


for folder in folders:
    data = archive.read(prefix + folder + "/model.onnx")
    model = onnx.load_from_string(data)
    operators = {n.op_type for n in model.graph.node}
    if not operators <= OPERATORS or any(n.domain not in ("", "ai.onnx") for n in model.graph.node):
        skip("other operators")
        continue
    if "training_dropout" in folder:
        skip("random numbers")
        continue
    files = [f for f in listing[folder] if "/test_data_set_" in f]
    if len(data) + sum(archive.getinfo(f).file_size for f in files) > LIMIT:
        skip("over %d bytes" % LIMIT)
        continue
    try:
        sets = []
        for index in sorted({re.search(r"test_data_set_(\d+)", f)[1] for f in files}, key=int):
            base = f"{prefix}{folder}/test_data_set_{index}/"
            known = {i.name for i in model.graph.initializer}
            inputs = [(i.name, tensor(archive.read(base + f"input_{k}.pb"), i)) for k, i in enumerate(model.graph.input) if i.name not in known]
            outputs = [(o.name, tensor(archive.read(base + f"output_{k}.pb"), o)) for k, o in enumerate(model.graph.output)]
            sets.append((inputs, outputs))
    except (LookupError, KeyError) as error:
        skip(str(error) if isinstance(error, LookupError) and not isinstance(error, KeyError) else "files are missing")
        continue
    try:
        run = session(model)
        verdict = "agrees"
        for inputs, outputs in sets:
            for (name, expected), actual in zip(outputs, run.run([n for n, _ in outputs], dict(inputs))):
                if actual.dtype != expected.dtype or actual.shape != expected.shape or not np.allclose(actual, expected, rtol=1e-3, atol=1e-6, equal_nan=True):
                    verdict = "differs"
    except Exception as error:
        verdict = "declines"
    cases.append({
        "name": folder, "operators": sorted(operators), "opset": {o.domain: o.version for o in model.opset_import}, "onnxruntime": verdict,
        "model": put(data),
        "sets": [{"inputs": [entry(n, a) for n, a in i], "outputs": [entry(n, a) for n, a in o]} for i, o in sets],
    })

os.makedirs(OUT, exist_ok=True)
with open(os.path.join(OUT, "cases.bin"), "wb") as file:
    file.write(blob)
head = {
    "about": "ONNX's backend node test cases, from the onnx package on PyPI (onnx/backend/test/data/node). Copyright (c) ONNX Project Contributors, Apache-2.0; repacked, not changed. See README.md",
    "licence": "Apache-2.0",
    "versions": {"onnx": version, "onnxruntime": ort.__version__},
    "bytes": len(blob),
    "sha256": hashlib.sha256(blob).hexdigest(),
    "rtol": 1e-3,
    "skipped": skipped,
}
with open(os.path.join(OUT, "index.json"), "w") as file:
    file.write("{\n" + ",\n".join(json.dumps(k) + ": " + json.dumps(v) for k, v in head.items()) + ',\n"cases": [\n')
    file.write(",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n}\n")
verdicts = {}
for c in cases:
    verdicts[c["onnxruntime"]] = verdicts.get(c["onnxruntime"], 0) + 1
print(len(cases), "cases", len(blob), "bytes, index", os.path.getsize(os.path.join(OUT, "index.json")), verdicts, skipped)
print("differs:", [c["name"] for c in cases if c["onnxruntime"] == "differs"])
print("declines:", [(c["name"], c["opset"].get("")) for c in cases if c["onnxruntime"] == "declines"])
missing = OPERATORS - {o for c in cases for o in c["operators"]}
print("operators without a case:", sorted(missing))
