"""Files in which weights come, made by the libraries that write them, small ones. Writes containers.json beside this file.

Needs PyPI numpy, joblib, h5py, keras, onnx, and torch from another environment perhaps: `python generate.py torch OUT` writes
its files to the folder OUT, and `python generate.py OUT` takes them from there.
"""

import base64
import bz2
import gzip
import io
import json
import os
import pathlib
import pickle
import sys
import tarfile
import tempfile
import zipfile

os.environ["KERAS_BACKEND"] = "numpy"


class Attack:
    def __reduce__(self):
        return (os.system, ("echo",))


def packed(data):
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def torch_files(folder):
    import torch

    state = {"weight": torch.arange(4.0)}
    torch.save(state, folder / "torch.pt")
    torch.save(state, folder / "torch-legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(Attack(), folder / "torch-attack.bin")
    script = torch.jit.script(torch.nn.Linear(2, 1))
    script.save(str(folder / "torchscript.pt"))
    (folder / "version.txt").write_text(f"torch {torch.__version__}")


def saved(name, write):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / name
        write(str(path))
        return path.read_bytes()


def stream(write):
    out = io.BytesIO()
    write(out)
    return out.getvalue()


def python_files():
    import joblib
    import numpy

    weights = {"w": [1.5, 2.5], "name": "layer"}
    for protocol in range(6):
        yield f"plain-{protocol}.pkl", pickle.dumps(weights, protocol=protocol)
        yield f"attack-{protocol}.pkl", pickle.dumps(Attack(), protocol=protocol)
    # Something large first, so that what it does lies far behind.
    yield "attack-far-4.pkl.gz", gzip.compress(pickle.dumps(["x" * 5_000_000, Attack()], protocol=4), mtime=0)
    yield "attack-far-2.pkl.gz", gzip.compress(pickle.dumps(["x" * 5_000_000, Attack()], protocol=2), mtime=0)
    array = numpy.arange(6, dtype="<f4").reshape(2, 3)
    yield "array.joblib", saved("a.joblib", lambda path: joblib.dump({"a": array}, path))
    for squeeze in ["zlib", "gzip", "bz2", "xz", "lzma"]:
        yield f"array-{squeeze}.joblib", saved("a.joblib", lambda path: joblib.dump({"a": array}, path, compress=(squeeze, 3)))
    yield "array.npy", stream(lambda out: numpy.save(out, array))
    yield "record.npy", stream(lambda out: numpy.save(out, numpy.zeros(2, dtype=[("a", "<f4"), ("b", "<i8", (2,))])))
    yield "complex.npy", stream(lambda out: numpy.save(out, numpy.zeros((), dtype="<c16")))
    yield "time.npy", stream(lambda out: numpy.save(out, numpy.zeros(1, dtype="<M8[ns]")))
    yield "text.npy", stream(lambda out: numpy.save(out, numpy.array(["ab", "c"])))
    yield "objects.npy", stream(lambda out: numpy.save(out, numpy.array([{}, None], dtype=object)))
    records = numpy.zeros(1, dtype=[("a", "<f4"), ("b", "O")])
    yield "record-objects.npy", stream(lambda out: numpy.save(out, records))
    yield "arrays.npz", stream(lambda out: numpy.savez(out, a=array, b=array))
    yield "arrays-packed.npz", stream(lambda out: numpy.savez_compressed(out, a=array))
    yield "objects.npz", stream(lambda out: numpy.savez(out, a=array, b=numpy.array([{}], dtype=object)))
    yield "objects-packed.npz", stream(lambda out: numpy.savez_compressed(out, b=numpy.array([{}], dtype=object)))
    for name, descr in [("escaped", r"'|\x4f'"), ("joined", "'|' 'O'"), ("named", "'object'"), ("quoted", '"|O"'), ("tripled", "'''|O'''"), ("twice", "'<f4', 'descr': '|O'"), ("field", "[('a', 'ob' 'ject')]"), ("list", "[('a', 'i4,O')]")]:
        header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}".ljust(117) + "\n"
        data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + pickle.dumps([Attack()])
        # As numpy reads it: with allow_pickle it would run.
        try:
            numpy.load(io.BytesIO(data))
            raise SystemExit(f"numpy takes {name} for numbers")
        except ValueError as error:
            assert "Object arrays" in str(error), error
        yield f"objects-{name}.npy", data


def archives():
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        data = pickle.dumps(Attack())
        info = tarfile.TarInfo("pickle")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    yield "old.tar", tar.getvalue()
    yield "old.tar.gz", gzip.compress(tar.getvalue(), mtime=0)
    yield "attack.pkl.bz2", bz2.compress(pickle.dumps(Attack()))

    def archive_of(files, method=zipfile.ZIP_STORED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for name, data in files.items():
                archive.writestr(zipfile.ZipInfo(name), data, method)
        return out.getvalue()

    yield "data.zip", archive_of({"a.json": "{}", "b/c.bin": bytes(20)})
    yield "empty.zip", archive_of({})
    yield "pickle.zip", archive_of({"a.json": "{}", "b/c.bin": pickle.dumps(Attack())})
    yield "pickle-packed.zip", archive_of({"x/data.pkl": pickle.dumps(Attack())}, zipfile.ZIP_DEFLATED)
    yield "behind-something.bin", bytes(1000) + archive_of({"x/data.pkl": pickle.dumps(Attack())})


def keras_files():
    import keras

    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="relu")])
    function = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2)])
    for name, model in [("plain", plain), ("lambda", function)]:
        yield f"{name}.keras", saved("m.keras", model.save)
        yield f"{name}.h5", saved("m.h5", model.save)
    yield "weights.weights.h5", saved("w.weights.h5", plain.save_weights)
    # What CVE-2025-1550 did: a configuration that names a function of any module.
    evil = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved("m.keras", plain.save))) as old, zipfile.ZipFile(evil, "w") as new:
        for item in old.infolist():
            data = old.read(item)
            if item.filename == "config.json":
                config = json.loads(data)
                config["config"]["layers"][1]["module"] = "subprocess"
                config["config"]["layers"][1]["class_name"] = "check_output"
                data = json.dumps(config)
            new.writestr(zipfile.ZipInfo(item.filename), data)
    yield "module.keras", evil.getvalue()


def onnx_files():
    import numpy
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    first = numpy_helper.from_array(numpy.arange(6, dtype=numpy.float32).reshape(2, 3), "first")
    second = numpy_helper.from_array(numpy.arange(4, dtype=numpy.int64), "second")
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(numpy.ones(300, numpy.float32), "inner"))
    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "branch",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(numpy.ones(200, numpy.float32), "in_branch")],
    )
    choice = helper.make_node("If", ["condition"], ["z"], then_branch=branch, else_branch=branch)
    graph = helper.make_graph(
        [constant, choice],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]), helper.make_tensor_value_info("condition", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [300])],
        [first, second],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    whole = model.SerializeToString()
    yield "inside.onnx", whole, {}

    def outside(**options):
        model = onnx.ModelProto.FromString(whole)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "m.onnx"
            onnx.save_model(model, str(path), save_as_external_data=True, size_threshold=0, **options)
            files = {p.name: p.read_bytes() for p in pathlib.Path(folder).iterdir() if p.name != "m.onnx"}
            return path.read_bytes(), files

    yield "outside.onnx", *outside(location="weights.data", all_tensors_to_one_file=True, convert_attribute=True)
    yield "outside-many.onnx", *outside(all_tensors_to_one_file=False, convert_attribute=False)


def main():
    if sys.argv[1] == "torch":
        folder = pathlib.Path(sys.argv[2])
        folder.mkdir(exist_ok=True)
        return torch_files(folder)
    import h5py
    import joblib
    import keras
    import numpy
    import onnx

    folder = pathlib.Path(sys.argv[1])
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "version.txt"}
    for part in [python_files, archives, keras_files]:
        files.update(part())
    versions = [f"{m.__name__} {m.__version__}" for m in [numpy, joblib, h5py, keras, onnx]]
    versions.append((folder / "version.txt").read_text())
    lines = [json.dumps({"name": n, "file": packed(d)}) for n, d in files.items()]
    graphs = [
        json.dumps({"name": n, "file": packed(d), "outside": {k: packed(v) for k, v in outside.items()}})
        for n, d, outside in onnx_files()
    ]
    text = '{\n"versions": %s,\n"files": [\n%s\n],\n"onnx": [\n%s\n]\n}\n' % (
        json.dumps(versions),
        ",\n".join(lines),
        ",\n".join(graphs),
    )
    pathlib.Path(__file__).with_name("containers.json").write_text(text)


main()
