"""Outputs and vector-Jacobian products of single ONNX operators, in float64 by PyTorch: derivatives/*.json.

Each case is checked three ways before it is written: its outputs against onnxruntime (float32) or, where that has no
kernel, onnx's reference evaluator; its gradients against central differences of the same function; and the same central
differences, with a step of MARGIN, show that no kink and no tie is nearer than that.
"""
import os
import sys
import numpy as np
import onnx
import onnxruntime as ort
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from vector_tools import *

HERE = os.path.dirname(os.path.abspath(__file__))
FAMILIES = {}
REPORT = []
family = None
rng = None


class In:
    def __init__(self, values, dtype="float32", differentiable=True, constant=False):
        self.values = np.asarray(values)
        self.dtype = dtype
        self.differentiable = differentiable
        self.constant = constant

    def typed(self):
        return self.values.astype({"float32": np.float32, "int64": np.int64, "bool": np.bool_, "int32": np.int32, "float64": np.float64}[self.dtype])


def x(*shape, low=-2.0, high=2.0, offset=0.0, **options):
    return In(distinct(rng, shape, low, high, offset), **options)


def w(*shape, low=-1.0, high=1.0, **options):
    """A weight: an initializer whose gradient is wanted."""
    return In(coarse(rng, shape, low, high), constant=True, **options)


def positive(*shape, low=0.25, high=2.0, **options):
    return In(distinct(rng, shape, low, high), **options)


def ints(values, constant=True):
    return In(np.asarray(values, np.int64), "int64", False, constant)


def bools(values, constant=False):
    return In(np.asarray(values, np.bool_), "bool", False, constant)


def fixed(values, constant=True, dtype="float32"):
    return In(np.asarray(values, np.float64), dtype, False, constant)


def start(name, seed):
    global family, rng
    family = name
    FAMILIES[name] = []
    rng = np.random.default_rng(seed)


def case(name, op, inputs, function, attributes=None, opset=17, outputs=1, quiet=(), reference_only=False, tolerance=2e-5):
    """`quiet`: outputs whose cotangent is 0 (statistics that nothing is meant to differentiate)."""
    attributes = attributes or {}
    tensors = []
    for value in inputs:
        if value is None:
            tensors.append(None)
        else:
            t = torch.tensor(value.typed())
            if value.dtype == "float32":
                t = t.double()
            tensors.append(t.requires_grad_(value.differentiable and value.dtype in ("float32", "float64")))

    def run(ts):
        r = function(*ts)
        return list(r) if isinstance(r, (tuple, list)) else [r]

    results = run(tensors)
    assert len(results) == outputs, (name, len(results))
    floats = [r.dtype in (torch.float64, torch.float32) for r in results]
    cotangents = []
    for index, r in enumerate(results):
        if not floats[index]:
            cotangents.append(None)
        elif index in quiet:
            cotangents.append(torch.zeros_like(r))
        else:
            cotangents.append(torch.tensor(coarse(rng, tuple(r.shape))).to(torch.float64))

    def scalar(ts):
        return sum((r * c).sum() for r, c in zip(run(ts), cotangents) if c is not None)

    wanted = [i for i, t in enumerate(tensors) if t is not None and t.requires_grad]
    gradients = [None] * len(inputs)
    if wanted:
        for i, g in zip(wanted, torch.autograd.grad(scalar(tensors), [tensors[i] for i in wanted], allow_unused=True)):
            gradients[i] = torch.zeros_like(tensors[i]) if g is None else g
    # central differences: right derivatives, and no kink within the margin
    worst = 0.0
    with torch.no_grad():
        for i in wanted:
            flat = gradients[i].reshape(-1)
            base = [t if t is None else t.detach() for t in tensors]
            estimate = []
            for entry in range(flat.numel()):
                sides = []
                for sign in (1, -1):
                    moved = base[i].clone()
                    moved.reshape(-1)[entry] += sign * MARGIN
                    sides.append(float(scalar(base[:i] + [moved] + base[i + 1 :])))
                estimate.append((sides[0] - sides[1]) / (2 * MARGIN))
            if estimate:
                difference = np.max(np.abs(np.array(estimate) - flat.numpy())) / max(1.0, float(flat.abs().max()))
                worst = max(worst, difference)
    if worst > 1e-4:
        raise AssertionError(f"{family}/{name}: central differences differ by {worst:.2g}: a kink within the margin, or a wrong derivative")

    # ONNX semantics
    input_names = ["" if v is None else f"x{i}" for i, v in enumerate(inputs)]
    output_names = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, input_names, output_names, **attributes)
    initializers, infos, feed = [], [], {}
    for n, v in zip(input_names, inputs):
        if v is None:
            continue
        if v.constant:
            initializers.append(numpy_helper.from_array(v.typed(), n))
        else:
            infos.append(helper.make_tensor_value_info(n, ONNX_TYPE[v.dtype], v.values.shape))
            feed[n] = v.typed()
    def dtype_of(tensor):
        if tensor.dtype == torch.float64:
            return "float64" if attributes.get("to") == 11 else "float32"
        return {torch.int64: "int64", torch.bool: "bool"}[tensor.dtype]

    value_infos = [helper.make_tensor_value_info(n, ONNX_TYPE[dtype_of(r)], list(r.shape)) for n, r in zip(output_names, results)]
    graph = helper.make_graph([node], "case", infos, value_infos, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version(opset))
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        if "is deprecated" not in str(error):
            raise
    by = "onnxruntime"
    try:
        if reference_only:
            raise RuntimeError("asked for the reference evaluator")
        actual = session(model).run(None, feed)
    except Exception as error:
        by = "onnx.reference"
        why = str(error).split("\n")[0][:110]
        actual = ReferenceEvaluator(model).run(None, feed)
    worst_forward = 0.0
    for index, (a, r) in enumerate(zip(actual, results)):
        r = r.detach().numpy()
        if a.shape != r.shape:
            raise AssertionError(f"{family}/{name}: shape {a.shape} by {by}, {r.shape} here")
        worst_forward = max(worst_forward, relative_difference(a, r))
    if worst_forward > tolerance:
        raise AssertionError(f"{family}/{name}: {by} differs by {worst_forward:.2g}\n{actual}\n{results}")
    REPORT.append((family, name, by, worst, worst_forward))
    if by != "onnxruntime" and not reference_only:
        print("  no onnxruntime kernel:", family, name, why)

    row = {
        "name": name,
        "op": op,
        "opset": opset,
        "attributes": attributes,
        "attributeTypes": {k: attribute_type(v) for k, v in attributes.items()},
        "inputs": [
            None
            if v is None
            else {
                "name": n,
                "dtype": v.dtype,
                "shape": list(v.values.shape),
                "values": numbers(v.typed()),
                "differentiable": bool(v.differentiable),
                "constant": v.constant,
            }
            for n, v in zip(input_names, inputs)
        ],
        "outputs": [
            {"dtype": dtype_of(r), "shape": list(r.shape), "values": numbers(r.detach().numpy())}
            for r in results
        ],
        "cotangents": [None if c is None else numbers(c.numpy()) for c in cotangents],
        "gradients": [None if g is None else numbers(g.numpy()) for g in gradients],
        "checkedBy": by,
    }
    size = sum(len(v["values"]) for v in row["inputs"] if v) + sum(len(v["values"]) for v in row["outputs"])
    assert size < 900, (name, size)
    assert name not in [c["name"] for c in FAMILIES[family]], name
    FAMILIES[family].append(row)


# ---------------------------------------------------------------- convolution

def same_pads(size, kernel, stride, dilation, upper):
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    small, large = total // 2, total - total // 2
    return (small, large) if upper else (large, small)


def pad_spatial(t, pads, value=0.0):
    """ONNX pads [begin..., end...] of the spatial axes."""
    n = len(pads) // 2
    flat = []
    for axis in reversed(range(n)):
        flat += [pads[axis], pads[n + axis]]
    return F.pad(t, flat, value=value)


def resolve_pads(sizes, kernel, strides, dilations, attributes):
    n = len(sizes)
    auto = attributes.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        pairs = [same_pads(s, k, t, d, auto == "SAME_UPPER") for s, k, t, d in zip(sizes, kernel, strides, dilations)]
        return [p[0] for p in pairs] + [p[1] for p in pairs]
    if auto == "VALID":
        return [0] * (2 * n)
    return attributes.get("pads", [0] * (2 * n))


def conv(attributes):
    def function(t, weight, bias=None):
        n = t.dim() - 2
        strides = attributes.get("strides", [1] * n)
        dilations = attributes.get("dilations", [1] * n)
        pads = resolve_pads(t.shape[2:], weight.shape[2:], strides, dilations, attributes)
        call = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[n]
        return call(pad_spatial(t, pads), weight, bias, strides, 0, dilations, attributes.get("group", 1))

    return function


def conv_transpose(attributes):
    def function(t, weight, bias=None):
        n = t.dim() - 2
        strides = attributes.get("strides", [1] * n)
        dilations = attributes.get("dilations", [1] * n)
        extra = attributes.get("output_padding", [0] * n)
        kernel = weight.shape[2:]
        pads = attributes.get("pads", [0] * (2 * n))
        auto = attributes.get("auto_pad", "NOTSET")
        target = attributes.get("output_shape")
        if auto in ("SAME_UPPER", "SAME_LOWER") and target is None:
            target = [s * st for s, st in zip(t.shape[2:], strides)]
        if target is not None:
            begins, ends = [], []
            for i in range(n):
                total = strides[i] * (t.shape[2 + i] - 1) + extra[i] + (kernel[i] - 1) * dilations[i] + 1 - target[i]
                total = max(total, 0)
                small, large = total // 2, total - total // 2
                # the smaller part goes first for SAME_UPPER, last otherwise (as onnxruntime does)
                begins.append(small if auto == "SAME_UPPER" else large)
                ends.append(large if auto == "SAME_UPPER" else small)
            pads = begins + ends
        if auto == "VALID":
            pads = [0] * (2 * n)
        call = {1: F.conv_transpose1d, 2: F.conv_transpose2d}[n]
        full = call(t, weight, None, strides, 0, 0, attributes.get("group", 1), dilations)
        full = pad_spatial(full, [0] * n + list(extra))
        full = pad_spatial(full, [-p for p in pads])
        return full if bias is None else full + bias.reshape([1, -1] + [1] * n)

    return function


def conv_case(name, shape, weight, attributes=None, bias=True, opset=17, constant=True, make=conv, op="Conv"):
    attributes = attributes or {}
    out = weight[1] * attributes.get("group", 1) if op == "ConvTranspose" else weight[0]
    inputs = [x(*shape), w(*weight)] + ([w(out)] if bias else [])
    for i in inputs[1:]:
        i.constant = constant
    case(name, op, inputs, make(attributes), attributes, opset)


start("conv", 1)
conv_case("1x1", (1, 3, 4, 4), (2, 3, 1, 1))
conv_case("3x3-valid", (2, 2, 6, 5), (3, 2, 3, 3), {"kernel_shape": [3, 3]})
conv_case("3x3-no-bias", (2, 2, 5, 5), (3, 2, 3, 3), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, bias=False)
conv_case("3x3-pads-1", (2, 2, 5, 6), (2, 2, 3, 3), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1], "dilations": [1, 1], "group": 1}, opset=13)
conv_case("4x4-stride-2-pads-1", (1, 1, 8, 8), (3, 1, 4, 4), {"kernel_shape": [4, 4], "pads": [1, 1, 1, 1], "strides": [2, 2]})
conv_case("3x3-stride-2-remainder", (2, 2, 6, 8), (2, 2, 3, 3), {"kernel_shape": [3, 3], "strides": [2, 2]})
conv_case("3x3-stride-3-remainder-2", (1, 2, 8, 7), (2, 2, 3, 3), {"kernel_shape": [3, 3], "strides": [3, 3], "pads": [0, 1, 0, 1]})
conv_case("1x1-stride-2", (2, 2, 5, 6), (3, 2, 1, 1), {"kernel_shape": [1, 1], "strides": [2, 2]})
conv_case("asymmetric-pads", (1, 2, 5, 6), (2, 2, 3, 2), {"kernel_shape": [3, 2], "pads": [0, 1, 2, 0], "strides": [2, 1]})
conv_case("dilation-2", (1, 2, 7, 8), (2, 2, 3, 3), {"kernel_shape": [3, 3], "dilations": [2, 2], "pads": [2, 2, 2, 2]})
conv_case("dilation-2-3-stride-2", (1, 1, 9, 10), (2, 1, 3, 2), {"kernel_shape": [3, 2], "dilations": [2, 3], "strides": [2, 2], "pads": [1, 0, 0, 1]})
conv_case("groups-2", (2, 4, 4, 5), (6, 2, 3, 3), {"kernel_shape": [3, 3], "group": 2, "pads": [1, 1, 1, 1]})
conv_case("groups-2-stride-2", (1, 4, 6, 6), (2, 2, 2, 2), {"kernel_shape": [2, 2], "group": 2, "strides": [2, 2]})
conv_case("depthwise", (2, 3, 5, 5), (3, 1, 3, 3), {"kernel_shape": [3, 3], "group": 3, "pads": [1, 1, 1, 1]})
conv_case("depthwise-multiplier-2", (1, 3, 5, 4), (6, 1, 3, 3), {"kernel_shape": [3, 3], "group": 3, "pads": [1, 1, 1, 1], "strides": [2, 1]})
conv_case("depthwise-dilated-stride-2", (1, 2, 8, 9), (2, 1, 3, 3), {"kernel_shape": [3, 3], "group": 2, "pads": [2, 2, 2, 2], "strides": [2, 2], "dilations": [2, 2]})
conv_case("same-upper-stride-1-even-kernel", (1, 2, 5, 5), (2, 2, 4, 2), {"kernel_shape": [4, 2], "auto_pad": "SAME_UPPER"})
conv_case("same-upper-stride-2", (2, 1, 7, 8), (2, 1, 4, 4), {"kernel_shape": [4, 4], "auto_pad": "SAME_UPPER", "strides": [2, 2]})
conv_case("same-upper-stride-2-odd", (1, 2, 7, 5), (2, 2, 3, 3), {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER", "strides": [2, 2]})
conv_case("same-lower-stride-2", (2, 1, 7, 8), (2, 1, 4, 4), {"kernel_shape": [4, 4], "auto_pad": "SAME_LOWER", "strides": [2, 2]})
conv_case("same-lower-stride-1-even-kernel", (1, 2, 5, 5), (2, 2, 2, 4), {"kernel_shape": [2, 4], "auto_pad": "SAME_LOWER"})
conv_case("auto-pad-valid", (1, 2, 6, 7), (2, 2, 3, 3), {"kernel_shape": [3, 3], "auto_pad": "VALID", "strides": [2, 3]})
conv_case("weight-as-input", (1, 2, 4, 4), (2, 2, 2, 2), {"kernel_shape": [2, 2]}, constant=False)
conv_case("kernel-covers-input", (2, 2, 4, 3), (5, 2, 4, 3), {"kernel_shape": [4, 3]})
conv_case("non-square-kernel-1x5", (1, 2, 3, 8), (2, 2, 1, 5), {"kernel_shape": [1, 5], "pads": [0, 2, 0, 2]})
conv_case("1d", (2, 3, 9), (2, 3, 3), {"kernel_shape": [3], "pads": [1, 1]})
conv_case("1d-stride-2-dilation-2", (1, 2, 12), (3, 2, 3), {"kernel_shape": [3], "strides": [2], "dilations": [2], "pads": [0, 1]})
conv_case("1d-depthwise", (2, 4, 8), (4, 1, 4), {"kernel_shape": [4], "group": 4, "pads": [3, 0]})
conv_case("1d-same-upper", (1, 2, 9), (2, 2, 4), {"kernel_shape": [4], "auto_pad": "SAME_UPPER", "strides": [2]})
conv_case("3d", (1, 2, 3, 4, 3), (2, 2, 2, 2, 2), {"kernel_shape": [2, 2, 2], "strides": [1, 2, 1]})
conv_case("opset-22", (1, 2, 5, 5), (2, 2, 3, 3), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}, opset=22)

start("conv-transpose", 2)


def ct(name, shape, weight, attributes=None, **options):
    conv_case(name, shape, weight, attributes, make=conv_transpose, op="ConvTranspose", **options)


ct("3x3", (1, 2, 3, 4), (2, 3, 3, 3), {"kernel_shape": [3, 3]})
ct("2x2-stride-2", (2, 2, 3, 3), (2, 2, 2, 2), {"kernel_shape": [2, 2], "strides": [2, 2]})
ct("4x4-stride-2-pads-1", (1, 2, 4, 3), (2, 2, 4, 4), {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1, 1, 1, 1]})
ct("3x3-stride-2-output-padding", (1, 2, 3, 4), (2, 2, 3, 3), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]})
ct("asymmetric-pads", (1, 2, 4, 4), (2, 2, 3, 3), {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [0, 1, 2, 0]}, bias=False)
ct("groups-2", (2, 4, 3, 3), (4, 2, 3, 3), {"kernel_shape": [3, 3], "group": 2, "pads": [1, 1, 1, 1]})
ct("depthwise-stride-2", (1, 3, 3, 4), (3, 1, 3, 3), {"kernel_shape": [3, 3], "group": 3, "strides": [2, 2], "pads": [1, 1, 0, 0]})
ct("dilation-2", (1, 2, 4, 3), (2, 2, 3, 3), {"kernel_shape": [3, 3], "dilations": [2, 2], "pads": [1, 2, 1, 2]})
ct("output-shape", (1, 1, 3, 3), (1, 2, 3, 3), {"kernel_shape": [3, 3], "strides": [3, 2], "output_shape": [8, 6]})
ct("same-upper-stride-2", (1, 2, 3, 4), (2, 2, 3, 3), {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"})
ct("same-lower-stride-2", (1, 2, 3, 4), (2, 2, 3, 3), {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"})
ct("1d-stride-2", (2, 3, 5), (3, 2, 4), {"kernel_shape": [4], "strides": [2], "pads": [1, 1]})
ct("1d-stride-3-output-padding", (1, 2, 4), (2, 2, 3), {"kernel_shape": [3], "strides": [3], "output_padding": [2]}, bias=False)

# ---------------------------------------------------------------- linear

start("linear", 3)


def gemm(alpha=1.0, beta=1.0, transA=0, transB=0):
    def function(a, b, c=None):
        y = alpha * ((a.T if transA else a) @ (b.T if transB else b))
        return y if c is None else y + beta * c

    return function


def gemm_case(name, a, b, c=None, opset=17, constant=True, **attributes):
    inputs = [x(*a), w(*b)] + ([] if c is None else [w(*c)])
    for i in inputs[1:]:
        i.constant = constant
    case(name, "Gemm", inputs, gemm(**attributes), attributes, opset)


gemm_case("gemm", (3, 4), (4, 5), (5,))
gemm_case("gemm-pytorch-linear", (2, 6), (5, 6), (5,), alpha=1.0, beta=1.0, transB=1)
gemm_case("gemm-batch-1", (1, 6), (6, 4), (4,))
gemm_case("gemm-no-c", (3, 4), (4, 2), opset=13)
gemm_case("gemm-alpha-beta", (3, 4), (4, 5), (3, 5), alpha=0.5, beta=-1.5)
gemm_case("gemm-trans-a", (4, 3), (4, 5), (5,), transA=1)
gemm_case("gemm-trans-a-b", (4, 3), (5, 4), (3, 1), transA=1, transB=1, alpha=2.0)
gemm_case("gemm-scalar-c", (2, 3), (3, 4), (1,), beta=0.25)
gemm_case("gemm-row-c-as-inputs", (2, 3), (3, 4), (1, 4), constant=False)


def matmul_case(name, a, b, constant=False):
    second = w(*b)
    second.constant = constant
    case(name, "MatMul", [x(*a), second], torch.matmul)


matmul_case("matmul", (3, 4), (4, 5), True)
matmul_case("matmul-batched", (2, 3, 4), (2, 4, 5))
matmul_case("matmul-4d", (2, 2, 3, 4), (2, 2, 4, 3))
matmul_case("matmul-weight-2d", (2, 3, 4), (4, 5), True)
matmul_case("matmul-weight-2d-4d", (2, 1, 3, 4), (4, 2), True)
matmul_case("matmul-broadcast-left", (3, 4), (2, 4, 2))
matmul_case("matmul-broadcast-both", (2, 1, 3, 4), (3, 4, 2))
matmul_case("matmul-broadcast-ones", (1, 3, 4), (3, 4, 2))
matmul_case("matmul-vector-matrix", (4,), (4, 3))
matmul_case("matmul-matrix-vector", (3, 4), (4,), True)
matmul_case("matmul-vector-vector", (5,), (5,))
matmul_case("matmul-batched-vector", (2, 3, 4), (4,))
matmul_case("matmul-vector-batched", (4,), (2, 4, 3))


def einsum_case(name, equation, *shapes):
    case(name, "Einsum", [x(*shapes[0])] + [In(coarse(rng, s)) for s in shapes[1:]], lambda *t: torch.einsum(equation.replace(" ", ""), *t), {"equation": equation})


einsum_case("einsum-matmul", "ij,jk->ik", (3, 4), (4, 2))
einsum_case("einsum-implicit", "ij,jk", (3, 4), (4, 2))
einsum_case("einsum-attention-scores", "bhid,bhjd->bhij", (2, 2, 3, 4), (2, 2, 3, 4))
einsum_case("einsum-attention-values", "bhij,bhjd->bihd", (1, 2, 3, 3), (1, 2, 3, 4))
einsum_case("einsum-transpose", "bij->bji", (2, 3, 4))
einsum_case("einsum-sum", "bij->b", (2, 3, 4))
einsum_case("einsum-ellipsis", "...ij,jk->...ik", (2, 2, 3, 4), (4, 2))
einsum_case("einsum-outer", "i,j->ij", (3,), (4,))
einsum_case("einsum-diagonal", "ii->i", (4, 4))
einsum_case("einsum-inner", "bi,bi->b", (3, 4), (3, 4))
einsum_case("einsum-spaces-and-three", "bi, ij, bj -> b", (2, 3), (3, 4), (2, 4))
einsum_case("einsum-index-of-one-operand-only", "ij,kl->il", (2, 3), (2, 4))

# ---------------------------------------------------------------- arithmetic

start("arithmetic", 4)
SHAPES = [
    ("same-shape", (2, 3, 4), (2, 3, 4), False),
    ("scalar", (2, 3), (), True),
    ("row", (3, 4), (4,), True),
    ("column", (3, 4), (3, 1), False),
    ("channels", (2, 3, 2, 2), (3, 1, 1), True),
    ("both-broadcast", (3, 1), (1, 4), False),
    ("left-smaller", (4,), (2, 3, 4), False),
    ("rank-1-one", (2, 3), (1,), True),
]


def nonzero(*shape, **options):
    """Away from zero: divisors."""
    return In(distinct(rng, shape, 0.5, 2.5) * rng.choice([-1, 1], size=shape), **options)


for op, function in (("Add", torch.add), ("Sub", torch.sub), ("Mul", torch.mul), ("Div", torch.div)):
    for name, a, b, constant in SHAPES:
        second = nonzero(*b, constant=constant) if op == "Div" else x(*b, constant=constant)
        case(f"{op.lower()}-{name}", op, [x(*a), second], function, opset=13 if name == "row" else 17)
case("mul-same-tensor-shape-batch-1", "Mul", [x(1, 5), x(1, 5)], torch.mul)
case("sub-scalar-left", "Sub", [fixed(1.0), x(2, 3)], torch.sub)
case("div-scalar-left", "Div", [fixed(1.0), nonzero(2, 3)], torch.div)
case("neg", "Neg", [x(2, 3, 2)], torch.neg)
case("neg-scalar", "Neg", [x()], torch.neg)
case("pow-base-and-exponent", "Pow", [positive(2, 3), x(2, 3)], torch.pow)
case("pow-broadcast-exponent", "Pow", [positive(2, 3), x(3)], torch.pow)
case("pow-broadcast-base", "Pow", [positive(3, 1), x(1, 4)], torch.pow)
case("pow-constant-2", "Pow", [x(2, 4), fixed(2.0)], torch.pow)
case("pow-constant-3-negative-base", "Pow", [x(2, 4), fixed([3.0])], torch.pow)
case("pow-constant-half", "Pow", [positive(2, 4), fixed(0.5)], torch.pow)
case("pow-constant-minus-1", "Pow", [nonzero(2, 4), fixed(-1.0)], torch.pow)
case("pow-integer-exponent", "Pow", [x(2, 4), ints(2)], lambda a, b: torch.pow(a, b.double()))
case("pow-integer-exponents", "Pow", [nonzero(2, 3), ints([0, 1, 3])], lambda a, b: torch.pow(a, b.double()))
case("sum-of-three-broadcast", "Sum", [x(2, 3), x(3), x(2, 1)], lambda a, b, c: a + b + c)
case("mean-of-two", "Mean", [x(2, 3), x(2, 3)], lambda a, b: (a + b) / 2)

# ---------------------------------------------------------------- elementary

start("elementary", 5)
for op, function, make in [
    ("Exp", torch.exp, x),
    ("Log", torch.log, positive),
    ("Sqrt", torch.sqrt, positive),
    ("Abs", torch.abs, x),
    ("Sin", torch.sin, x),
    ("Cos", torch.cos, x),
    ("Erf", torch.erf, x),
    ("Tanh", torch.tanh, x),
    ("Sigmoid", torch.sigmoid, x),
    ("Reciprocal", torch.reciprocal, None),
]:
    make = make or nonzero
    low = op.lower()
    case(low, op, [make(2, 3, 4)], function, opset=13)
    case(f"{low}-batch-1", op, [make(1, 7)], function)
    case(f"{low}-scalar", op, [make()], function)
wide = [-20.0, -8.0, -4.0, -2.5, 2.5, 4.0, 8.0, 20.0]
for op, function in [("Exp", torch.exp), ("Tanh", torch.tanh), ("Sigmoid", torch.sigmoid), ("Erf", torch.erf), ("Sin", torch.sin)]:
    case(f"{op.lower()}-wide", op, [In(np.array(wide if op != "Exp" else [-20.0, -8.0, -4.0, 4.0, 6.0]))], function)
case("log-wide", "Log", [In(np.array([0.0625, 0.125, 8.0, 1024.0]))], torch.log)
case("sqrt-wide", "Sqrt", [In(np.array([0.125, 64.0, 4096.0]))], torch.sqrt)
case("floor-has-no-slope", "Floor", [In(np.array([-1.5, -0.25, 0.25, 1.75]))], torch.floor)
case("sign-has-no-slope", "Sign", [In(np.array([-1.5, -0.25, 0.25, 1.75]))], torch.sign)

# ---------------------------------------------------------------- activations

start("activations", 6)


def both(op, function, attributes=None, opset=17, tag="", low=-2.0, high=2.0, offset=0.0):
    name = op.lower() + tag
    case(name, op, [x(2, 3, 4, low=low, high=high, offset=offset)], function, attributes, opset)
    case(name + "-batch-1", op, [x(1, 5, low=low, high=high, offset=offset)], function, attributes, opset)


both("Relu", F.relu)
case("relu-4d", "Relu", [x(2, 2, 3, 3)], F.relu, opset=14)
both("LeakyRelu", lambda t: F.leaky_relu(t, 0.01))
both("LeakyRelu", lambda t: F.leaky_relu(t, 0.25), {"alpha": 0.25}, tag="-alpha")
case("leakyrelu-negative-alpha", "LeakyRelu", [x(2, 4)], lambda t: F.leaky_relu(t, -0.5), {"alpha": -0.5})


def prelu(t, slope):
    return torch.where(t < 0, t * slope, t)


case("prelu-channels", "PRelu", [x(2, 3, 2, 2), w(3, 1, 1)], prelu)
case("prelu-one", "PRelu", [x(2, 4), w(1)], prelu)
case("prelu-same-shape", "PRelu", [x(2, 3), w(2, 3)], prelu)
case("prelu-row-as-input", "PRelu", [x(2, 3), In(coarse(rng, (3,)))], prelu)
both("Elu", F.elu)
both("Elu", lambda t: F.elu(t, 0.5), {"alpha": 0.5}, tag="-alpha")
both("Selu", F.selu)
# the kink of Selu with other parameters stays at 0
both("Selu", lambda t: 1.5 * torch.where(t > 0, t, 2.0 * (torch.exp(t) - 1)), {"alpha": 2.0, "gamma": 1.5}, tag="-parameters")
both("Gelu", F.gelu, None, 20)
both("Gelu", F.gelu, {"approximate": "none"}, 20, "-none", -5, 5)
both("Gelu", lambda t: F.gelu(t, approximate="tanh"), {"approximate": "tanh"}, 20, "-tanh", -5, 5)
both("HardSwish", F.hardswish, None, 14, low=-5.0, high=5.0, offset=0.5)
both("HardSigmoid", lambda t: torch.clamp(0.2 * t + 0.5, 0, 1), None, 17, low=-4.0, high=4.0, offset=0.5)
# as PyTorch exports its own: alpha = 1/6
both("HardSigmoid", lambda t: torch.clamp(t * float(np.float32(1 / 6)) + 0.5, 0, 1), {"alpha": float(np.float32(1 / 6)), "beta": 0.5}, 17, "-sixth", -5.0, 5.0, 0.5)
both("Softplus", F.softplus)
case("softplus-wide", "Softplus", [In(np.array([-30.0, -12.0, -6.0, 6.0, 12.0, 30.0, 80.0]))], lambda t: torch.logaddexp(t, torch.zeros_like(t)))
both("Softsign", F.softsign)
both("Mish", F.mish, None, 18)
both("ThresholdedRelu", lambda t: torch.where(t > 0.75, t, torch.zeros_like(t)), {"alpha": 0.75}, offset=0.5)
both("Celu", lambda t: F.celu(t, 0.5), {"alpha": 0.5})
case("clip-relu6", "Clip", [x(2, 3, 4, low=-8, high=8, offset=0.5), fixed(0.0), fixed(6.0)], lambda t, a, b: torch.clamp(t, a, b))
case("clip-both-batch-1", "Clip", [x(1, 6, offset=0.5), fixed(-0.5), fixed(0.75)], lambda t, a, b: torch.clamp(t, a, b))
case("clip-min-only", "Clip", [x(2, 5, offset=0.5), fixed(-0.5)], lambda t, a: torch.clamp(t, min=a))
case("clip-max-only", "Clip", [x(2, 5, offset=0.5), None, fixed(0.5)], lambda t, a, b: torch.clamp(t, max=b))
case("clip-no-bounds", "Clip", [x(2, 3)], lambda t: t * 1, opset=13)
case("min-two", "Min", [x(2, 3), x(2, 3, offset=0.5)], torch.minimum)
case("max-two", "Max", [x(2, 3), x(2, 3, offset=0.5)], torch.maximum)
case("max-scalar-relu", "Max", [x(2, 4), fixed(0.0)], torch.maximum)
case("min-scalar-left", "Min", [fixed(0.5), x(2, 4, offset=0.5)], torch.minimum)
case("max-broadcast", "Max", [x(3, 1), x(1, 4, offset=0.5)], torch.maximum)
case("min-broadcast", "Min", [x(2, 3, 4), x(3, 1, offset=0.5)], torch.minimum)
case("max-three", "Max", [x(2, 3), x(3, offset=0.5), x(2, 1, offset=0.25)], lambda a, b, c: torch.maximum(torch.maximum(a, b), c))
case("min-three", "Min", [x(2, 3), x(2, 3, offset=0.5), x(1, offset=0.25)], lambda a, b, c: torch.minimum(torch.minimum(a, b), c))
case("max-one", "Max", [x(2, 3)], lambda a: a * 1)
case("where", "Where", [bools(rng.integers(0, 2, (2, 3))), x(2, 3), x(2, 3)], torch.where)
case("where-condition-broadcast", "Where", [bools(rng.integers(0, 2, (3, 1))), x(2, 3, 4), x(4)], torch.where)
case("where-mask-fill", "Where", [bools(np.tril(np.ones((3, 3))), constant=True), x(2, 2, 3, 3), fixed(-10000.0)], torch.where)
case("where-everything-broadcasts", "Where", [bools([True, False, True]), x(2, 1), x()], torch.where)

# ---------------------------------------------------------------- pooling


def pool_geometry(t, attributes):
    """Pads begin and end, and what ceil_mode adds to the end (negative: nothing of the input is lost, the window just does not reach it)."""
    kernel = attributes["kernel_shape"]
    n = len(kernel)
    strides = attributes.get("strides", [1] * n)
    dilations = attributes.get("dilations", [1] * n)
    sizes = list(t.shape[2:])
    pads = resolve_pads(sizes, kernel, strides, dilations, attributes)
    overflow = []
    for i in range(n):
        reach = (kernel[i] - 1) * dilations[i] + 1
        span = sizes[i] + pads[i] + pads[n + i] - reach
        out = span // strides[i] + 1
        if attributes.get("ceil_mode", 0):
            out = -(-span // strides[i]) + 1
            if (out - 1) * strides[i] >= sizes[i] + pads[i]:
                out -= 1  # a window that begins in the end padding is left out
        overflow.append(max((out - 1) * strides[i] + reach - (sizes[i] + pads[i] + pads[n + i]), 0))
    return kernel, strides, dilations, pads, overflow


def max_pool(attributes, indices=False):
    def function(t):
        kernel, strides, dilations, pads, overflow = pool_geometry(t, attributes)
        n = len(kernel)
        full = [a + b for a, b in zip(pads[n:], overflow)]
        padded = pad_spatial(t, pads[:n] + full, float("-inf"))
        call = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[n]
        if not indices:
            return call(padded, kernel, strides, 0, dilations)
        position = torch.arange(t.numel(), dtype=torch.float64).reshape(t.shape)
        position = pad_spatial(position, pads[:n] + full, -1.0)
        values, where = call(padded, kernel, strides, 0, dilations, return_indices=True)
        picked = position.flatten(2).gather(2, where.flatten(2)).reshape(where.shape)
        return values, picked.long()

    return function


def average_pool(attributes):
    def function(t):
        kernel, strides, dilations, pads, overflow = pool_geometry(t, attributes)
        n = len(kernel)
        channels = t.shape[1]
        ones = torch.ones((channels, 1, *kernel), dtype=torch.float64)
        call = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[n]

        def sums(v):
            return call(pad_spatial(v, [0] * n + overflow), ones, None, strides, 0, dilations, channels)

        inside = torch.ones_like(t)
        count = sums(pad_spatial(inside, pads, 1.0 if attributes.get("count_include_pad", 0) else 0.0))
        return sums(pad_spatial(t, pads)) / count.detach()

    return function


def pool_case(name, shape, attributes, opset=17, op="MaxPool", indices=False, **options):
    make = max_pool(attributes, indices) if op == "MaxPool" else average_pool(attributes)
    case(name, op, [x(*shape)], make, attributes, opset, outputs=2 if indices else 1, **options)


start("pooling", 7)
pool_case("max-2x2-stride-2", (2, 2, 4, 6), {"kernel_shape": [2, 2], "strides": [2, 2]})
pool_case("max-2x2-stride-2-odd", (1, 2, 5, 7), {"kernel_shape": [2, 2], "strides": [2, 2]}, 13)
pool_case("max-overlapping-3x3-stride-2", (1, 2, 7, 7), {"kernel_shape": [3, 3], "strides": [2, 2]})
pool_case("max-overlapping-3x3-stride-1", (1, 2, 5, 4), {"kernel_shape": [3, 3]})
pool_case("max-resnet-3x3-stride-2-pads-1", (1, 2, 8, 8), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "dilations": [1, 1], "ceil_mode": 0})
pool_case("max-overlapping-2x3-stride-1-2", (2, 1, 4, 7), {"kernel_shape": [2, 3], "strides": [1, 2]})
pool_case("max-gaps-stride-3", (1, 1, 8, 9), {"kernel_shape": [2, 2], "strides": [3, 3]})
pool_case("max-asymmetric-pads", (1, 2, 5, 5), {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [0, 1, 2, 0]})
pool_case("max-ceil-mode", (1, 2, 5, 7), {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1})
pool_case("max-ceil-mode-pads", (1, 1, 6, 7), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1})
pool_case("max-ceil-mode-overlapping", (1, 2, 6, 8), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1})
pool_case("max-ceil-mode-last-window-in-padding", (1, 1, 2, 2), {"kernel_shape": [1, 1], "strides": [2, 2], "ceil_mode": 1}, 22)
pool_case("max-dilation-2", (1, 2, 7, 6), {"kernel_shape": [2, 3], "dilations": [2, 2]})
pool_case("max-dilation-2-stride-2-pads", (1, 1, 8, 7), {"kernel_shape": [3, 2], "dilations": [2, 3], "strides": [2, 1], "pads": [1, 1, 1, 1]})
pool_case("max-same-upper", (1, 2, 5, 6), {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"})
pool_case("max-same-lower", (1, 2, 5, 6), {"kernel_shape": [2, 3], "strides": [1, 2], "auto_pad": "SAME_LOWER"})
pool_case("max-auto-pad-valid", (1, 1, 6, 5), {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "VALID"})
pool_case("max-whole-input", (2, 3, 3, 4), {"kernel_shape": [3, 4]})
pool_case("max-1d", (2, 3, 9), {"kernel_shape": [3], "strides": [2]})
pool_case("max-1d-overlapping-pads", (1, 2, 8), {"kernel_shape": [4], "strides": [1], "pads": [2, 1]})
pool_case("max-3d", (1, 1, 4, 4, 4), {"kernel_shape": [2, 2, 2], "strides": [2, 2, 2]})
pool_case("max-with-indices", (2, 2, 4, 4), {"kernel_shape": [2, 2], "strides": [2, 2]}, indices=True)
pool_case("max-with-indices-pads-overlapping", (1, 2, 5, 5), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, indices=True)
average = {"op": "AveragePool"}
pool_case("average-2x2-stride-2", (2, 2, 4, 6), {"kernel_shape": [2, 2], "strides": [2, 2]}, **average)
pool_case("average-odd", (1, 2, 5, 7), {"kernel_shape": [2, 2], "strides": [2, 2]}, 13, **average)
pool_case("average-overlapping-3x3-stride-1", (1, 2, 5, 5), {"kernel_shape": [3, 3], "strides": [1, 1]}, **average)
pool_case("average-pads-exclude", (1, 2, 6, 5), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 0}, **average)
pool_case("average-pads-include", (1, 2, 6, 5), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1}, **average)
pool_case("average-asymmetric-pads-exclude", (1, 1, 5, 6), {"kernel_shape": [3, 2], "strides": [1, 2], "pads": [0, 1, 2, 0]}, **average)
pool_case("average-asymmetric-pads-include", (1, 1, 5, 6), {"kernel_shape": [3, 2], "strides": [1, 2], "pads": [0, 1, 2, 0], "count_include_pad": 1}, **average)
pool_case("average-ceil-mode-exclude", (1, 2, 5, 7), {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, 22, **average)
pool_case("average-ceil-mode-pads-exclude", (1, 1, 6, 6), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1}, 22, **average)
pool_case("average-same-upper", (1, 2, 5, 6), {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"}, **average)
pool_case("average-same-lower", (1, 2, 5, 6), {"kernel_shape": [2, 3], "strides": [1, 2], "auto_pad": "SAME_LOWER"}, **average)
pool_case("average-same-upper-include", (1, 1, 5, 6), {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER", "count_include_pad": 1}, **average)
pool_case("average-1d", (2, 3, 9), {"kernel_shape": [3], "strides": [2]}, **average)
pool_case("average-1d-pads-include", (1, 2, 8), {"kernel_shape": [4], "pads": [2, 1], "count_include_pad": 1}, **average)
pool_case("average-dilation-2", (1, 1, 7, 6), {"kernel_shape": [2, 2], "dilations": [2, 2]}, 19, **average)
for op, reduce in (("GlobalAveragePool", torch.mean), ("GlobalMaxPool", torch.amax)):
    low = {"GlobalAveragePool": "global-average", "GlobalMaxPool": "global-max"}[op]
    case(low, op, [x(2, 3, 3, 4)], lambda t: reduce(t, (2, 3), keepdim=True))
    case(low + "-batch-1", op, [x(1, 2, 5, 5)], lambda t: reduce(t, (2, 3), keepdim=True))
    case(low + "-1d", op, [x(2, 3, 6)], lambda t: reduce(t, (2,), keepdim=True))
    case(low + "-1x1", op, [x(2, 3, 1, 1)], lambda t: reduce(t, (2, 3), keepdim=True))
pool_case("average-ceil-mode-include", (1, 2, 5, 7), {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1, "count_include_pad": 1}, 22, **average)
pool_case("average-ceil-mode-pads-include", (1, 1, 6, 6), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1, "count_include_pad": 1}, 22, **average)
pool_case("average-ceil-mode-pads-include-opset-17", (1, 1, 6, 6), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1, "count_include_pad": 1}, 17, **average)

# ---------------------------------------------------------------- normalisation

start("normalisation", 8)


def scale(n, constant=True):
    return In(coarse(rng, (n,), 0.25, 1.5), constant=constant)


def stretch(values, n):
    return values.reshape([1, -1] + [1] * (n - 2))


def bn_inference(epsilon=1e-5):
    def function(t, g, b, mean, var):
        n = t.dim()
        return (t - stretch(mean, n)) / torch.sqrt(stretch(var, n) + epsilon) * stretch(g, n) + stretch(b, n)

    return function


def bn_training(epsilon, momentum, only=False):
    def function(t, g, b, mean, var):
        n = t.dim()
        axes = [0] + list(range(2, n))
        m, v = t.mean(axes), t.var(axes, unbiased=False)
        y = (t - stretch(m, n)) / torch.sqrt(stretch(v, n) + epsilon) * stretch(g, n) + stretch(b, n)
        if only:
            return y
        # ONNX keeps the population variance; PyTorch keeps the unbiased one
        return y, mean * momentum + m.detach() * (1 - momentum), var * momentum + v.detach() * (1 - momentum)

    return function


def bn_inputs(shape, statistics_differentiable=True):
    c = shape[1]
    mean = In(coarse(rng, (c,)), differentiable=statistics_differentiable, constant=True)
    var = In(coarse(rng, (c,), 0.5, 1.5), differentiable=statistics_differentiable, constant=True)
    return [x(*shape), scale(c), w(c), mean, var]


f32 = lambda v: float(np.float32(v))
case("batch-inference-4d", "BatchNormalization", bn_inputs((2, 3, 2, 3)), bn_inference())
case("batch-inference-2d", "BatchNormalization", bn_inputs((4, 3)), bn_inference())
case("batch-inference-3d-batch-1", "BatchNormalization", bn_inputs((1, 2, 5)), bn_inference(f32(1e-3)), {"epsilon": f32(1e-3)})
case("batch-inference-opset-14-momentum", "BatchNormalization", bn_inputs((2, 2, 3, 3)), bn_inference(f32(1e-2)), {"epsilon": f32(1e-2), "momentum": f32(0.9)}, 14)
case("batch-inference-opset-9", "BatchNormalization", bn_inputs((2, 2, 2, 2)), bn_inference(), {}, 13)
for name, shape, epsilon, momentum in [("4d", (2, 3, 3, 2), 1e-5, 0.9), ("2d", (5, 3), 1e-5, 0.9), ("3d", (3, 2, 4), 1e-3, 0.8), ("4d-batch-1", (1, 2, 4, 3), 1e-2, 0.5)]:
    attributes = {"epsilon": f32(epsilon), "momentum": f32(momentum), "training_mode": 1}
    case(f"batch-training-{name}", "BatchNormalization", bn_inputs(shape, False), bn_training(f32(epsilon), f32(momentum)), attributes, 15, outputs=3, quiet=(1, 2))


def layer_norm(axis, epsilon=1e-5, outputs=1):
    def function(t, g, b=None):
        first = axis % t.dim()
        axes = list(range(first, t.dim()))
        m = t.mean(axes, keepdim=True)
        inv = 1 / torch.sqrt(t.var(axes, unbiased=False, keepdim=True) + epsilon)
        y = (t - m) * inv * g
        y = y if b is None else y + b
        return y if outputs == 1 else (y, m, inv)

    return function


case("layer-last-axis", "LayerNormalization", [x(2, 3, 6), scale(6), w(6)], layer_norm(-1), {"axis": -1, "epsilon": f32(1e-5)})
case("layer-default-axis", "LayerNormalization", [x(3, 5), scale(5), w(5)], layer_norm(-1))
case("layer-no-bias", "LayerNormalization", [x(2, 4, 4), scale(4)], layer_norm(-1))
case("layer-axis-1", "LayerNormalization", [x(2, 3, 4), In(coarse(rng, (3, 4), 0.25, 1.5), constant=True), w(3, 4)], layer_norm(1, f32(1e-3)), {"axis": 1, "epsilon": f32(1e-3)})
case("layer-axis-minus-2", "LayerNormalization", [x(2, 2, 3, 3), In(coarse(rng, (3, 3), 0.25, 1.5), constant=True), w(3, 3)], layer_norm(-2), {"axis": -2})
case("layer-batch-1", "LayerNormalization", [x(1, 8), scale(8, False), In(coarse(rng, (8,)))], layer_norm(-1, f32(1e-12)), {"epsilon": f32(1e-12)})
case("layer-three-outputs", "LayerNormalization", [x(2, 3, 4), scale(4), w(4)], layer_norm(-1, 1e-5, 3), outputs=3, quiet=(1, 2))


def instance_norm(epsilon=1e-5):
    def function(t, g, b):
        n = t.dim()
        axes = list(range(2, n))
        m, v = t.mean(axes, keepdim=True), t.var(axes, unbiased=False, keepdim=True)
        return (t - m) / torch.sqrt(v + epsilon) * stretch(g, n) + stretch(b, n)

    return function


case("instance-4d", "InstanceNormalization", [x(2, 3, 3, 3), scale(3), w(3)], instance_norm())
case("instance-3d", "InstanceNormalization", [x(2, 2, 6), scale(2), w(2)], instance_norm(), {"epsilon": f32(1e-5)})
case("instance-4d-epsilon-batch-1", "InstanceNormalization", [x(1, 2, 4, 3), scale(2), w(2)], instance_norm(f32(1e-2)), {"epsilon": f32(1e-2)}, 13)


def group_norm(groups, epsilon=1e-5, per_group=False):
    def function(t, g, b):
        n = t.dim()
        if per_group:
            each = t.shape[1] // groups
            g, b = g.repeat_interleave(each), b.repeat_interleave(each)
        s = t.reshape(t.shape[0], groups, -1)
        m, v = s.mean(2, keepdim=True), s.var(2, unbiased=False, keepdim=True)
        return ((s - m) / torch.sqrt(v + epsilon)).reshape(t.shape) * stretch(g, n) + stretch(b, n)

    return function


case("group-2-opset-21", "GroupNormalization", [x(2, 4, 3, 3), scale(4), w(4)], group_norm(2), {"num_groups": 2}, 21)
case("group-1-opset-21-batch-1", "GroupNormalization", [x(1, 4, 2, 3), scale(4), w(4)], group_norm(1, f32(1e-3)), {"num_groups": 1, "epsilon": f32(1e-3)}, 21)
case("group-each-channel-3d", "GroupNormalization", [x(2, 3, 5), scale(3), w(3)], group_norm(3), {"num_groups": 3}, 21)
case("group-2-opset-18-scale-per-group", "GroupNormalization", [x(2, 4, 3, 2), scale(2), w(2)], group_norm(2, per_group=True), {"num_groups": 2}, 18)
case("lp-norm-2", "LpNormalization", [x(2, 3, 4)], lambda t: t / t.norm(dim=-1, keepdim=True), {"axis": -1, "p": 2})

# ---------------------------------------------------------------- softmax and reductions

start("softmax", 9)
for op, function in (("Softmax", torch.softmax), ("LogSoftmax", torch.log_softmax)):
    low = op.lower()
    case(low, op, [x(3, 5)], lambda t: function(t, -1))
    case(f"{low}-batch-1", op, [x(1, 4)], lambda t: function(t, -1), {"axis": -1}, 13)
    case(f"{low}-axis-1-of-4", op, [x(2, 3, 2, 2)], lambda t: function(t, 1), {"axis": 1})
    case(f"{low}-axis-0", op, [x(4, 3)], lambda t: function(t, 0), {"axis": 0})
    case(f"{low}-axis-minus-2", op, [x(2, 4, 3)], lambda t: function(t, -2), {"axis": -2})
    case(f"{low}-attention", op, [x(1, 2, 4, 4, low=-4, high=4)], lambda t: function(t, 3), {"axis": 3})
    case(f"{low}-wide", op, [In(np.array([[-40.0, 12.0, 13.5, 2.0], [100.0, 99.0, 0.0, -100.0]]))], lambda t: function(t, -1))
    case(f"{low}-one-class", op, [x(3, 1)], lambda t: function(t, -1))

start("reduce", 10)
REDUCE = {
    "ReduceSum": lambda t, a, k: t.sum(a, keepdim=k),
    "ReduceMean": lambda t, a, k: t.mean(a, keepdim=k),
    "ReduceMax": lambda t, a, k: t.amax(a, keepdim=k),
    "ReduceMin": lambda t, a, k: t.amin(a, keepdim=k),
    "ReduceL1": lambda t, a, k: t.abs().sum(a, keepdim=k),
    "ReduceL2": lambda t, a, k: t.square().sum(a, keepdim=k).sqrt(),
    "ReduceLogSumExp": lambda t, a, k: torch.logsumexp(t, a, keepdim=k),
    "ReduceSumSquare": lambda t, a, k: t.square().sum(a, keepdim=k),
    "ReduceLogSum": lambda t, a, k: t.sum(a, keepdim=k).log(),
    "ReduceProd": None,
}


def product(t, axes, keep):
    for axis in sorted((a % t.dim() for a in axes), reverse=True):
        t = t.prod(axis, keepdim=keep)
    return t


for op, function in REDUCE.items():
    function = function or product
    short = op[6:].lower()
    make = positive if op == "ReduceLogSum" else x

    def reduce_case(name, shape, axes, keep, opset, extra=None):
        all_axes = list(range(len(shape)))
        used = all_axes if axes is None else axes
        attributes = {} if keep is None else {"keepdims": keep}
        attributes.update(extra or {})
        as_input = op == "ReduceSum" or opset >= 18
        inputs = [make(*shape)]
        if axes is not None:
            if as_input:
                inputs.append(ints(axes))
            else:
                attributes["axes"] = axes
        case(f"{short}-{name}", op, inputs, lambda t, *rest: function(t, used, keep != 0), attributes, opset)

    reduce_case("last-axis-keep", (2, 3, 4), [-1], 1, 13)
    reduce_case("axis-1-drop", (2, 3, 4), [1], 0, 17)
    reduce_case("axes-2-3-keep", (2, 2, 3, 2), [2, 3], 1, 18)
    reduce_case("axes-0-minus-1-drop", (2, 3, 2), [0, -1], 0, 18)
    reduce_case("all-axes-default", (2, 3), None, None, 13)
    reduce_case("all-axes-drop-batch-1", (1, 5), None, 0, 18)
case("sum-noop-with-empty-axes", "ReduceSum", [x(2, 3), ints([])], lambda t, a: t * 1, {"noop_with_empty_axes": 1}, 18)
case("sum-empty-axes-reduce-all", "ReduceSum", [x(2, 3), ints([])], lambda t, a: t.sum().reshape(1, 1), {"noop_with_empty_axes": 0}, 18)
case("logsumexp-wide", "ReduceLogSumExp", [In(np.array([[200.0, 198.5, -50.0], [-90.0, -91.0, -89.5]])), ints([1])], lambda t, a: torch.logsumexp(t, 1), {"keepdims": 0}, 18)

# ---------------------------------------------------------------- shape

start("shape", 11)
case("reshape", "Reshape", [x(2, 3, 4), ints([2, 12])], lambda t, s: t.reshape(2, 12))
case("reshape-minus-1", "Reshape", [x(2, 3, 4), ints([-1, 4])], lambda t, s: t.reshape(-1, 4), opset=13)
case("reshape-zero-copies", "Reshape", [x(2, 3, 4), ints([0, -1])], lambda t, s: t.reshape(2, -1), {"allowzero": 0})
case("reshape-split-heads", "Reshape", [x(2, 3, 4), ints([0, 0, 2, 2])], lambda t, s: t.reshape(2, 3, 2, 2))
case("reshape-to-scalar", "Reshape", [x(1, 1), ints(np.zeros(0))], lambda t, s: t.reshape(()))
case("flatten-default", "Flatten", [x(2, 3, 2, 2)], lambda t: t.reshape(2, 12))
case("flatten-axis-2", "Flatten", [x(2, 3, 4)], lambda t: t.reshape(6, 4), {"axis": 2})
case("flatten-axis-0", "Flatten", [x(2, 3)], lambda t: t.reshape(1, 6), {"axis": 0})
case("flatten-axis-minus-1", "Flatten", [x(2, 3, 4)], lambda t: t.reshape(6, 4), {"axis": -1}, 13)
case("flatten-axis-rank", "Flatten", [x(2, 3)], lambda t: t.reshape(6, 1), {"axis": 2})
case("transpose-default", "Transpose", [x(2, 3, 4)], lambda t: t.permute(2, 1, 0))
case("transpose-nchw-to-nhwc", "Transpose", [x(2, 3, 2, 4)], lambda t: t.permute(0, 2, 3, 1), {"perm": [0, 2, 3, 1]})
case("transpose-nhwc-to-nchw", "Transpose", [x(2, 2, 4, 3)], lambda t: t.permute(0, 3, 1, 2), {"perm": [0, 3, 1, 2]})
case("transpose-heads", "Transpose", [x(1, 3, 2, 4)], lambda t: t.permute(0, 2, 1, 3), {"perm": [0, 2, 1, 3]})
case("transpose-cycle-of-4", "Transpose", [x(2, 3, 1, 4)], lambda t: t.permute(1, 3, 0, 2), {"perm": [1, 3, 0, 2]})
case("concat-axis-1", "Concat", [x(2, 3), x(2, 1), x(2, 2)], lambda *t: torch.cat(t, 1), {"axis": 1})
case("concat-axis-0", "Concat", [x(1, 3), x(2, 3)], lambda *t: torch.cat(t, 0), {"axis": 0})
case("concat-channels", "Concat", [x(2, 2, 3, 2), x(2, 1, 3, 2)], lambda *t: torch.cat(t, -3), {"axis": -3})
case("concat-class-token", "Concat", [w(1, 1, 4), x(1, 3, 4)], lambda *t: torch.cat(t, 1), {"axis": 1})
case("concat-one", "Concat", [x(2, 3)], lambda t: t * 1, {"axis": -1}, 13)
case("split-sizes", "Split", [x(2, 6), ints([1, 3, 2])], lambda t, s: t.split([1, 3, 2], 1), {"axis": 1}, 13, outputs=3)
case("split-equal", "Split", [x(4, 3)], lambda t: t.split(2, 0), {}, 13, outputs=2)
case("split-num-outputs-uneven", "Split", [x(2, 7)], lambda t: t.split([3, 3, 1], -1), {"axis": -1, "num_outputs": 3}, 18, outputs=3)
case("split-qkv", "Split", [x(1, 2, 6), ints([2, 2, 2])], lambda t, s: t.split(2, 2), {"axis": -1}, 17, outputs=3)
S = slice
case("slice-axis-1", "Slice", [x(3, 5), ints([1]), ints([4]), ints([1])], lambda t, *r: t[:, 1:4])
case("slice-no-axes", "Slice", [x(3, 4), ints([1, 0]), ints([3, 3])], lambda t, *r: t[1:3, :3], opset=13)
case("slice-two-axes-steps", "Slice", [x(4, 2, 6), ints([0, 1]), ints([4, 6]), ints([0, -1]), ints([3, 2])], lambda t, *r: t[0:4:3, :, 1:6:2])
case("slice-negative-step-reverses", "Slice", [x(2, 5), ints([-1]), ints([-(2**63)]), ints([1]), ints([-1])], lambda t, *r: t.flip(1))
case("slice-negative-step-2", "Slice", [x(2, 7), ints([5]), ints([0]), ints([1]), ints([-2])], lambda t, *r: t[:, [5, 3, 1]])
case("slice-end-past-the-end", "Slice", [x(2, 4), ints([2]), ints([2**63 - 1]), ints([1]), ints([1])], lambda t, *r: t[:, 2:])
case("slice-negative-indices", "Slice", [x(2, 3, 4), ints([-3]), ints([-1]), ints([2])], lambda t, *r: t[:, :, -3:-1])
case("slice-left-out-axes", "Slice", [x(4, 3), ints([0, 0]), ints([4, 2]), None, ints([2, 1])], lambda t, a, b, c, d: t[0:4:2, 0:2])
case("squeeze-axes", "Squeeze", [x(2, 1, 3, 1), ints([1, -1])], lambda t, a: t.reshape(2, 3))
case("squeeze-one-of-two", "Squeeze", [x(2, 1, 1, 3), ints([2])], lambda t, a: t.reshape(2, 1, 3), opset=13)
case("squeeze-all", "Squeeze", [x(1, 3, 1)], lambda t: t.reshape(3))
case("unsqueeze-one", "Unsqueeze", [x(2, 3), ints([1])], lambda t, a: t.reshape(2, 1, 3))
case("unsqueeze-two-negative", "Unsqueeze", [x(2, 3), ints([0, -1])], lambda t, a: t.reshape(1, 2, 3, 1), opset=13)
case("unsqueeze-unsorted", "Unsqueeze", [x(2, 3), ints([3, 0])], lambda t, a: t.reshape(1, 2, 3, 1))
case("expand-row", "Expand", [x(1, 3), ints([4, 3])], lambda t, s: t.expand(4, 3))
case("expand-rank", "Expand", [x(3, 1), ints([2, 3, 4])], lambda t, s: t.expand(2, 3, 4))
case("expand-two-way", "Expand", [x(3, 1), ints([1, 4])], lambda t, s: t.expand(3, 4))
case("expand-smaller-shape", "Expand", [x(2, 3), ints([1])], lambda t, s: t * 1)
case("tile", "Tile", [x(2, 3), ints([2, 3])], lambda t, r: t.repeat(2, 3))
case("tile-one-axis", "Tile", [x(1, 2, 3), ints([1, 3, 1])], lambda t, r: t.repeat(1, 3, 1))
case("tile-ones", "Tile", [x(2, 3), ints([1, 1])], lambda t, r: t * 1)


def index_pad(t, before, after, how):
    for axis in range(t.dim()):
        n = t.shape[axis]
        positions = np.pad(np.arange(n), (before[axis], after[axis]), mode=how)
        t = t.index_select(axis, torch.tensor(positions))
    return t


def constant_pad(t, pads, value):
    n = t.dim()
    flat = []
    for axis in reversed(range(n)):
        flat += [pads[axis], pads[n + axis]]
    return F.pad(t, flat, value=0.0) + (F.pad(torch.zeros_like(t), flat, value=1.0) * value if value is not None else 0)


case("pad-constant", "Pad", [x(2, 3), ints([1, 0, 0, 2])], lambda t, p: constant_pad(t, [1, 0, 0, 2], None))
case("pad-constant-value", "Pad", [x(1, 1, 2, 3), ints([0, 0, 1, 1, 0, 0, 1, 2]), fixed(1.5)], lambda t, p, v: constant_pad(t, [0, 0, 1, 1, 0, 0, 1, 2], v), {"mode": "constant"}, 13)
case("pad-constant-negative", "Pad", [x(3, 4), ints([-1, 1, 0, -2])], lambda t, p: constant_pad(t, [-1, 1, 0, -2], None))
case("pad-constant-axes", "Pad", [x(2, 2, 3), ints([1, 2]), None, ints([-1])], lambda t, p, v, a: constant_pad(t, [0, 0, 1, 0, 0, 2], None), {}, 18)
case("pad-reflect", "Pad", [x(1, 1, 4, 4), ints([0, 0, 2, 1, 0, 0, 1, 3])], lambda t, p: index_pad(t, [0, 0, 2, 1], [0, 0, 1, 3], "reflect"), {"mode": "reflect"})
case("pad-edge", "Pad", [x(2, 1, 3, 3), ints([0, 0, 1, 2, 0, 0, 2, 1])], lambda t, p: index_pad(t, [0, 0, 1, 2], [0, 0, 2, 1], "edge"), {"mode": "edge"})
case("pad-wrap", "Pad", [x(2, 4), ints([0, 1, 0, 2])], lambda t, p: index_pad(t, [0, 1], [0, 2], "wrap"), {"mode": "wrap"}, 19)
case("gather-embedding", "Gather", [w(6, 4), ints([[0, 3, 3], [5, 1, 0]], False)], lambda t, i: t[i])
case("gather-axis-1", "Gather", [x(2, 5), ints([4, 0, 4])], lambda t, i: t[:, i], {"axis": 1})
case("gather-scalar-drops-axis", "Gather", [x(2, 3, 4), ints(0)], lambda t, i: t[:, 0], {"axis": 1}, 13)
case("gather-negative-index", "Gather", [x(2, 3, 4), ints(-1)], lambda t, i: t[:, -1], {"axis": 1})
case("gather-matrix-axis-minus-1", "Gather", [x(2, 4), ints([[1, 1], [3, 0]])], lambda t, i: t[:, i], {"axis": -1})
case("gatherelements-axis-1", "GatherElements", [x(3, 4), ints([[0, 0], [3, 2], [1, 1]])], lambda t, i: t.gather(1, i), {"axis": 1})
case("gatherelements-axis-0", "GatherElements", [x(3, 2), ints([[2, 0], [2, 2]])], lambda t, i: t.gather(0, i), {})
case("gatherelements-labels", "GatherElements", [x(3, 5), ints([[4], [0], [2]], False)], lambda t, i: t.gather(1, i), {"axis": -1})
case("gathernd", "GatherND", [x(2, 3, 4), ints([[0, 1], [1, 2], [0, 1]])], lambda t, i: t[i[:, 0], i[:, 1]])
case("gathernd-batch-dims-1", "GatherND", [x(2, 3, 4), ints([[1], [2]])], lambda t, i: t[[0, 1], i[:, 0]], {"batch_dims": 1})


def scatter_nd(t, i, u, add=False):
    index = tuple(i.reshape(-1, i.shape[-1]).T)
    u = u.reshape((-1,) + tuple(u.shape[i.dim() - 1 :]))
    return t.index_put(index, u, accumulate=add)


case("scatternd-rows", "ScatterND", [x(4, 3), ints([[2], [0]]), x(2, 3)], scatter_nd)
case("scatternd-entries", "ScatterND", [x(3, 4), ints([[0, 1], [2, 3], [1, 0]]), x(3)], scatter_nd, opset=13)
case("scatternd-matrix-of-indices", "ScatterND", [x(2, 2, 3), ints([[[0, 1], [1, 0]]]), x(1, 2, 3)], scatter_nd)
case("scatternd-add-duplicates", "ScatterND", [x(4, 2), ints([[1], [1], [3]]), x(3, 2)], lambda t, i, u: scatter_nd(t, i, u, True), {"reduction": "add"}, 16)
case("scatterelements", "ScatterElements", [x(3, 3), ints([[0, 2], [1, 0]]), x(2, 2)], lambda t, i, u: t.scatter(1, i, u), {"axis": 1})
case("scatterelements-add", "ScatterElements", [x(3, 3), ints([[0, 0, 1]]), x(1, 3)], lambda t, i, u: t.scatter_add(0, i, u), {"axis": 0, "reduction": "add"}, 16)
case("trilu-upper", "Trilu", [x(3, 4)], torch.triu)
case("trilu-lower", "Trilu", [x(2, 3, 3)], torch.tril, {"upper": 0}, 14)
case("trilu-upper-k", "Trilu", [x(4, 4), ints(1)], lambda t, k: torch.triu(t, 1), {"upper": 1})
case("trilu-lower-k-negative", "Trilu", [x(4, 3), ints(-1)], lambda t, k: torch.tril(t, -1), {"upper": 0})
case("identity", "Identity", [x(2, 3)], lambda t: t * 1)
case("dropout-inference", "Dropout", [x(2, 4), fixed(0.5)], lambda t, r: t * 1)
case("dropout-training-mode-false", "Dropout", [x(2, 4), fixed(0.25), bools(False, constant=True)], lambda t, r, m: t * 1, opset=13)
case("cast-to-float", "Cast", [x(2, 3)], lambda t: t * 1, {"to": 1})
case("cast-to-double", "Cast", [x(2, 3)], lambda t: t * 1, {"to": 11})
case("cumsum", "CumSum", [x(2, 4), ints(1)], lambda t, a: t.cumsum(1))
case("cumsum-axis-0", "CumSum", [x(3, 2), ints(0)], lambda t, a: t.cumsum(0))
case("cumsum-reverse", "CumSum", [x(2, 4), ints(-1)], lambda t, a: t.flip(1).cumsum(1).flip(1), {"reverse": 1})
case("cumsum-exclusive", "CumSum", [x(2, 4), ints(1)], lambda t, a: t.cumsum(1) - t, {"exclusive": 1})
case("depthtospace-dcr", "DepthToSpace", [x(1, 8, 2, 3)], lambda t: t.reshape(1, 2, 2, 2, 2, 3).permute(0, 3, 4, 1, 5, 2).reshape(1, 2, 4, 6), {"blocksize": 2, "mode": "DCR"})
case("depthtospace-crd", "DepthToSpace", [x(1, 8, 2, 3)], lambda t: F.pixel_shuffle(t, 2), {"blocksize": 2, "mode": "CRD"})
case("spacetodepth", "SpaceToDepth", [x(1, 2, 4, 6)], lambda t: t.reshape(1, 2, 2, 2, 3, 2).permute(0, 3, 5, 1, 2, 4).reshape(1, 8, 2, 3), {"blocksize": 2})

# ---------------------------------------------------------------- resize

start("resize", 12)


def source(i, scale_, n_in, n_out, mode):
    if mode == "half_pixel":
        return (i + 0.5) / scale_ - 0.5
    if mode == "pytorch_half_pixel":
        return (i + 0.5) / scale_ - 0.5 if n_out > 1 else 0.0
    if mode == "asymmetric":
        return i / scale_
    if mode == "align_corners":
        return 0.0 if n_out == 1 else i * (n_in - 1) / (n_out - 1)
    raise ValueError(mode)


def resize_matrix(n_in, n_out, scale_, kind, mode, nearest):
    m = np.zeros((n_out, n_in))
    for i in range(n_out):
        s = source(i, scale_, n_in, n_out, mode)
        if kind == "nearest":
            p = {"floor": np.floor(s), "ceil": np.ceil(s), "round_prefer_floor": np.ceil(s - 0.5), "round_prefer_ceil": np.floor(s + 0.5)}[nearest]
            m[i, int(np.clip(p, 0, n_in - 1))] = 1
        elif kind == "linear":
            s = np.clip(s, 0, n_in - 1)
            low = int(np.floor(s))
            high = min(low + 1, n_in - 1)
            m[i, low] += 1 - (s - low)
            m[i, high] += s - low
        else:
            a = -0.75
            low = int(np.floor(s))
            f = s - low
            for k in range(-1, 3):
                d = abs(f - k)
                weight = (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
                m[i, int(np.clip(low + k, 0, n_in - 1))] += weight
    return torch.tensor(m)


def resize_case(name, shape, kind, mode, nearest=None, scales=None, sizes=None, opset=17, peer=None):
    attributes = {"mode": kind, "coordinate_transformation_mode": mode}
    if nearest:
        attributes["nearest_mode"] = nearest
    if kind == "cubic":
        attributes["cubic_coeff_a"] = -0.75
    out = sizes or [int(np.floor(n * s)) for n, s in zip(shape, scales)]
    used = scales or [o / n for o, n in zip(out, shape)]

    def function(t, *rest):
        for axis in range(t.dim()):
            if out[axis] != shape[axis] or used[axis] != 1:
                m = resize_matrix(shape[axis], out[axis], used[axis], kind, mode, nearest or "round_prefer_floor")
                t = torch.movedim(torch.tensordot(m, t, ([1], [axis])), 0, axis)
        return t

    inputs = [x(*shape), None, fixed(scales)] if scales else [x(*shape), None, None, ints(sizes)]
    if peer:
        probe = torch.tensor(distinct(rng, shape))
        assert torch.allclose(function(probe), peer(probe)), name
    case(name, "Resize", inputs, function, attributes, opset, tolerance=1e-4)


up = [1.0, 1.0, 2.0, 2.0]
resize_case("nearest-asymmetric-floor-scales-2", (1, 2, 3, 3), "nearest", "asymmetric", "floor", up, peer=lambda t: F.interpolate(t, scale_factor=2, mode="nearest"))
resize_case("nearest-asymmetric-floor-sizes", (1, 2, 3, 4), "nearest", "asymmetric", "floor", sizes=[1, 2, 5, 7], peer=lambda t: F.interpolate(t, (5, 7), mode="nearest"))
resize_case("nearest-asymmetric-floor-down", (1, 2, 6, 5), "nearest", "asymmetric", "floor", sizes=[1, 2, 3, 2], peer=lambda t: F.interpolate(t, (3, 2), mode="nearest"))
resize_case("nearest-half-pixel-default", (2, 1, 3, 3), "nearest", "half_pixel", None, up)
resize_case("nearest-half-pixel-round-prefer-ceil", (1, 1, 4, 5), "nearest", "half_pixel", "round_prefer_ceil", sizes=[1, 1, 6, 3])
resize_case("nearest-align-corners", (1, 1, 3, 4), "nearest", "align_corners", "round_prefer_floor", sizes=[1, 1, 5, 6])
resize_case("nearest-asymmetric-ceil", (1, 1, 3, 4), "nearest", "asymmetric", "ceil", up, opset=13)
resize_case("nearest-1d", (2, 2, 4), "nearest", "asymmetric", "floor", [1.0, 1.0, 2.0])
resize_case("linear-half-pixel-scales-2", (1, 2, 3, 4), "linear", "half_pixel", None, up, peer=lambda t: F.interpolate(t, scale_factor=2, mode="bilinear", align_corners=False))
resize_case("linear-pytorch-half-pixel-sizes", (1, 2, 3, 4), "linear", "pytorch_half_pixel", None, sizes=[1, 2, 5, 6], peer=lambda t: F.interpolate(t, (5, 6), mode="bilinear", align_corners=False))
resize_case("linear-pytorch-half-pixel-to-1", (1, 1, 4, 4), "linear", "pytorch_half_pixel", None, sizes=[1, 1, 1, 3])
resize_case("linear-align-corners", (1, 2, 3, 4), "linear", "align_corners", None, sizes=[1, 2, 6, 7], peer=lambda t: F.interpolate(t, (6, 7), mode="bilinear", align_corners=True))
resize_case("linear-asymmetric", (1, 1, 3, 4), "linear", "asymmetric", None, up)
resize_case("linear-half-pixel-down", (1, 1, 6, 8), "linear", "half_pixel", None, sizes=[1, 1, 3, 5], peer=lambda t: F.interpolate(t, (3, 5), mode="bilinear", align_corners=False))
resize_case("linear-1d", (2, 2, 5), "linear", "half_pixel", None, sizes=[2, 2, 8], peer=lambda t: F.interpolate(t, 8, mode="linear", align_corners=False))
resize_case("linear-opset-19", (1, 2, 3, 3), "linear", "half_pixel", None, sizes=[1, 2, 4, 5], opset=19)
resize_case("cubic-half-pixel", (1, 1, 4, 4), "cubic", "half_pixel", None, sizes=[1, 1, 6, 7], peer=lambda t: F.interpolate(t, (6, 7), mode="bicubic", align_corners=False))

# ----------------------------------------------------------------

os.makedirs(os.path.join(HERE, "derivatives"), exist_ok=True)
total = 0
for name, rows in FAMILIES.items():
    head = {
        "about": "Single ONNX operators: outputs, and gradients of sum(cotangent * output), in float64 by PyTorch; see README.md",
        "family": name,
        "versions": {"torch": torch.__version__.split("+")[0], "onnx": onnx.__version__, "onnxruntime": ort.__version__, "numpy": np.__version__},
        "margin": MARGIN,
    }
    path = os.path.join(HERE, "derivatives", name + ".json")
    write_lines(path, head, "cases", rows)
    total += len(rows)
    print(f"{name:16} {len(rows):4} cases {os.path.getsize(path):8} bytes")
print(total, "cases; largest difference: gradients", max(r[3] for r in REPORT), "forward", max(r[4] for r in REPORT))
