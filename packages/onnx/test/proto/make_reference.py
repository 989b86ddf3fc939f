"""What Python's onnx reads from files of ../vectors/models; writes reference.json beside it. Needs onnx and numpy."""
import json
import pathlib

import onnx
from onnx import numpy_helper

here = pathlib.Path(__file__).parent
models = []
for name in ["mnist-cnn.onnx", "mlp-softmax.onnx", "text-masked-opset17.onnx", "sklearn-logistic-zipmap.onnx"]:
    model = onnx.load(here / "../vectors/models" / name)
    tensors = [(each.name, numpy_helper.to_array(each)) for each in model.graph.initializer]
    models.append(
        {
            "file": name,
            "irVersion": model.ir_version,
            "producer": model.producer_name,
            "opsets": {each.domain: each.version for each in model.opset_import},
            "graph": model.graph.name,
            "nodes": [
                {
                    "name": node.name,
                    "op": node.op_type,
                    "domain": node.domain,
                    "inputs": list(node.input),
                    "outputs": list(node.output),
                    "attributes": sorted(each.name for each in node.attribute),
                }
                for node in model.graph.node
            ],
            "initializers": [
                {
                    "name": each,
                    "dtype": str(array.dtype),
                    "shape": list(array.shape),
                    "first": [float(value) for value in array.flatten()[:3]],
                }
                for each, array in tensors
            ],
        }
    )
text = json.dumps({"onnx": onnx.__version__, "models": models}, separators=(",", ":"))
(here / "reference.json").write_text(text + "\n")
