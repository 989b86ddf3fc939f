"""Small networks as PyTorch's two exporters write them, with PyTorch's own answers: models/NAME.onnx and models/NAME.json.

Weights are random from a seed, or trained nowhere. Each file is run by onnxruntime at two batch sizes and compared with
PyTorch before it is written; PyTorch's float32 gradients are compared with its float64 ones, so that no input lies at a kink.
"""
import copy
import hashlib
import json
import logging
import os
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torch.nn as nn
import torch.nn.functional as F
from onnx import numpy_helper
from vector_tools import *

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "models")
VERSIONS = {"torch": torch.__version__.split("+")[0], "onnx": onnx.__version__, "onnxruntime": ort.__version__, "numpy": np.__version__}
SUMMARY = []


# ---------------------------------------------------------------- networks

class MnistCnn(nn.Module):
    """The layers of this project's MNIST example, with 24 instead of 100 hidden units, which keeps the file small."""

    def __init__(self, hidden=24):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 4, stride=2, padding=1)
        self.fc1 = nn.Linear(32 * 7 * 7, hidden)
        self.fc2 = nn.Linear(hidden, 10)

    def forward(self, image):
        y = F.relu(self.conv1(image))
        y = F.relu(self.conv2(y))
        y = torch.flatten(y, 1)
        return self.fc2(F.relu(self.fc1(y)))


class MadryCnn(nn.Module):
    """Convolutions 5x5 and max pools 2x2 as in Madry et al., fewer channels."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Conv2d(6, 12, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2, 2)
        )
        self.classifier = nn.Sequential(nn.Linear(12 * 7 * 7, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, image):
        y = self.features(image)
        return self.classifier(y.view(y.size(0), -1))


class Block(nn.Module):
    def __init__(self, inner, outer, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.downsample = None
        if stride != 1 or inner != outer:
            self.downsample = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))

    def forward(self, image):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(image)))))
        return self.relu(y + (image if self.downsample is None else self.downsample(image)))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = Block(8, 8, 1)
        self.layer2 = Block(8, 16, 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(16, 10)

    def forward(self, image):
        y = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        y = self.avgpool(self.layer2(self.layer1(y)))
        return self.fc(torch.flatten(y, 1))


def conv_bn_relu6(inner, outer, kernel, stride=1, groups=1):
    return nn.Sequential(nn.Conv2d(inner, outer, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False), nn.BatchNorm2d(outer), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    def __init__(self, inner, outer, stride, expand):
        super().__init__()
        hidden = inner * expand
        self.use_residual = stride == 1 and inner == outer
        self.conv = nn.Sequential(
            conv_bn_relu6(inner, hidden, 1), conv_bn_relu6(hidden, hidden, 3, stride, hidden), nn.Conv2d(hidden, outer, 1, bias=False), nn.BatchNorm2d(outer)
        )

    def forward(self, image):
        return image + self.conv(image) if self.use_residual else self.conv(image)


class MobileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            conv_bn_relu6(3, 8, 3, 2), InvertedResidual(8, 8, 1, 3), InvertedResidual(8, 12, 2, 3), conv_bn_relu6(12, 32, 1)
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(32, 10))

    def forward(self, image):
        return self.classifier(self.features(image).mean([2, 3]))


class Attention(nn.Module):
    def __init__(self, dim, heads, fused):
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens):
        b, n, c = tokens.shape
        qkv = self.qkv(tokens).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            y = ((q @ k.transpose(-2, -1)) * (c // self.heads) ** -0.5).softmax(dim=-1) @ v
        return self.proj(y.transpose(1, 2).reshape(b, n, c))


class VitBlock(nn.Module):
    def __init__(self, dim, heads, fused):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads, fused)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, tokens):
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class VisionTransformer(nn.Module):
    def __init__(self, fused, dim=32, depth=2, heads=4):
        super().__init__()
        self.patch_embed = nn.Conv2d(1, dim, 4, 4)
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim) * 0.3)
        self.pos_embed = nn.Parameter(torch.randn(1, 17, dim) * 0.3)
        self.blocks = nn.Sequential(*[VitBlock(dim, heads, fused) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, 10)

    def forward(self, image):
        tokens = self.patch_embed(image).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.cls_token.expand(tokens.shape[0], -1, -1), tokens), dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(tokens))[:, 0])


class TextClassifier(nn.Module):
    def __init__(self, masked, length=12, dim=32):
        super().__init__()
        self.masked = masked
        self.embedding = nn.Embedding(40, dim)
        self.position = nn.Parameter(torch.randn(1, length, dim) * 0.3)
        self.encoder = nn.TransformerEncoderLayer(dim, 4, 48, dropout=0.0, batch_first=True, activation="gelu" if masked else "relu")
        self.fc = nn.Linear(dim, 4)

    def from_embedding(self, embedded, ids):
        mask = ids == 0 if self.masked else None
        y = self.encoder(embedded + self.position, src_key_padding_mask=mask)
        if mask is None:
            return self.fc(y.mean(dim=1))
        keep = (~mask).unsqueeze(-1).to(y.dtype)
        return self.fc((y * keep).sum(dim=1) / keep.sum(dim=1))

    def forward(self, ids):
        return self.from_embedding(self.embedding(ids), ids)


class NhwcCnn(nn.Module):
    """Takes the layout of TensorFlow, as a converted model does."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2)
        self.fc = nn.Linear(8 * 3 * 3, 5)

    def forward(self, image):
        y = F.avg_pool2d(F.leaky_relu(self.conv1(image.permute(0, 3, 1, 2)), 0.1), 3, 2, 1)
        return self.fc(F.elu(self.conv2(F.pad(y, (0, 1, 0, 1)))).permute(0, 2, 3, 1).flatten(1))


class Generative(nn.Module):
    """Less common layers: GroupNorm, SiLU, Upsample, ConvTranspose, InstanceNorm, PReLU, chunk, bilinear interpolation."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 2, 1)
        self.group = nn.GroupNorm(2, 8)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.prelu = nn.PReLU(4)
        self.transpose = nn.ConvTranspose2d(4, 3, 4, 2, 1)
        self.instance = nn.InstanceNorm2d(3, affine=True)
        self.fc = nn.Linear(3 * 5 * 5, 6)

    def forward(self, image):
        y = F.silu(self.group(self.conv1(image)))
        first, second = y.chunk(2, dim=1)
        y = self.prelu(self.conv2(self.up(first * torch.sigmoid(second))))
        y = F.hardswish(self.instance(self.transpose(y)))
        y = F.interpolate(y, size=(5, 5), mode="bilinear", align_corners=False)
        return self.fc(y.flatten(1))


class Series(nn.Module):
    """A 1-D network."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(2, 8, 5, padding=2)
        self.bn = nn.BatchNorm1d(8)
        self.conv2 = nn.Conv1d(8, 8, 3, dilation=2, groups=4)
        self.fc = nn.Linear(8, 3)

    def forward(self, series):
        y = F.max_pool1d(F.softplus(self.bn(self.conv1(series))), 3, 2, ceil_mode=True)
        return self.fc(torch.tanh(self.conv2(y)).amax(dim=2))


class Tail(nn.Module):
    def __init__(self, net, tail):
        super().__init__()
        self.net, self.tail = net, tail

    def forward(self, features):
        return self.tail(self.net(features))


def lively(model, seed, gain=3.0):
    """Default weights give nearly equal logits: scale the last layer, and give the statistics of BatchNorm values of their own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
        linears[-1].weight.mul_(gain)
        for m in model.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                m.running_mean.copy_(torch.randn(m.running_mean.shape, generator=generator) * 0.2)
                m.running_var.copy_(torch.rand(m.running_var.shape, generator=generator) + 0.5)
                m.weight.copy_(torch.rand(m.weight.shape, generator=generator) + 0.5)
                m.bias.copy_(torch.randn(m.bias.shape, generator=generator) * 0.2)
            for p in m.parameters(recurse=False):
                if not p.any():  # two initializers of zeros could not be told apart
                    p.copy_(torch.randn(p.shape, generator=generator) * 0.1)
            if isinstance(m, (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d)):
                m.weight.copy_(torch.rand(m.weight.shape, generator=generator) + 0.5)
                m.bias.copy_(torch.randn(m.bias.shape, generator=generator) * 0.2)
    return model


def images(seed, *shape):
    """Smooth grey blobs and noise, as multiples of 1/255 in [0, 1]."""
    r = np.random.default_rng(seed)
    noise = r.random(shape)
    if len(shape) == 4:
        height = np.linspace(-1, 1, shape[2]).reshape(1, 1, -1, 1)
        width = np.linspace(-1, 1, shape[3]).reshape(1, 1, 1, -1)
        cy, cx = (r.uniform(-0.6, 0.6, (shape[0], shape[1], 1, 1)) for _ in range(2))
        blob = np.exp(-((height - cy) ** 2 + (width - cx) ** 2) / r.uniform(0.05, 0.5, (shape[0], shape[1], 1, 1)))
        noise = 0.7 * blob + 0.3 * noise
    return np.float32(np.round(np.clip(noise, 0, 1) * 255) / 255)


# ---------------------------------------------------------------- export

def export(model, example, path, how, opset, input_name, output_name, training=None):
    if how == "classic":
        torch.onnx.export(
            model, (example,), path, dynamo=False, opset_version=opset, input_names=[input_name], output_names=[output_name],
            dynamic_axes={input_name: {0: "batch"}, output_name: {0: "batch"}}, training=training or torch.onnx.TrainingMode.EVAL,
            do_constant_folding=training is None,
        )
    else:
        torch.onnx.export(
            model, (example,), path, dynamo=True, opset_version=opset, input_names=[input_name], output_names=[output_name],
            dynamic_shapes=({0: torch.export.Dim("batch")},), external_data=False, verbose=False,
        )
    proto = onnx.load(path)
    # stack traces name the files of the machine that exported; nothing else is touched
    dropped = 0
    for node in proto.graph.node:
        keep = [p for p in node.metadata_props if p.key != "pkg.torch.onnx.stack_trace"]
        if len(keep) != len(node.metadata_props):
            dropped += 1
            del node.metadata_props[:]
            node.metadata_props.extend(keep)
    if dropped:
        onnx.save(proto, path)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def match_weights(proto, parameters, gradients):
    """Which initializer is which parameter (by value, as exporters rename and transpose), with the gradient in the layout of the file."""
    rows, unmatched = [], []
    left = dict(parameters)
    for initializer in proto.graph.initializer:
        value = numpy_helper.to_array(initializer)
        if value.dtype != np.float32:
            continue
        found = None
        candidates = left.items()
        if initializer.name in left:
            candidates = [(initializer.name, left[initializer.name])]
        elif value.size < 2:
            candidates = []
        for name, parameter in candidates:
            p = parameter.detach().numpy()
            for form in ("same", "transposed", "reshaped"):
                if form == "transposed" and p.ndim != 2:
                    continue
                view = p.T if form == "transposed" else p
                if form == "reshaped" and p.size == value.size:
                    view = p.reshape(value.shape)
                if view.shape == value.shape and np.allclose(view, value, rtol=1e-5, atol=1e-6):
                    found = (name, form)
                    break
            if found:
                break
        if not found:
            unmatched.append(initializer.name)
            continue
        name, form = found
        if name not in gradients:
            rows.append({"initializer": initializer.name, "parameter": name, "form": form, "trainable": False, "shape": list(value.shape)})
            continue
        g = gradients[name].numpy()
        g = g.T if form == "transposed" else g.reshape(value.shape)
        flat = np.ascontiguousarray(g).reshape(-1)
        rows.append({
            "initializer": initializer.name, "parameter": name, "form": form, "trainable": True, "shape": list(value.shape),
            "norm": number(np.linalg.norm(flat)), "sum": number(flat.sum()), "largest": number(np.abs(flat).max()), "first": numbers(flat[:8]),
        })
    return rows, unmatched


def losses(logits, labels):
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], 1)
    return F.cross_entropy(logits, labels, reduction="none")


def evaluate(model, data, labels, dtype, logits_of):
    m = copy.deepcopy(model).to(dtype)
    t = torch.tensor(data)
    embedded = None
    if t.dtype == torch.int64:
        embedded = m.embedding(t).detach().requires_grad_(True)
        # the table gets its gradient by scattering the gradient of its rows
        logits = m.from_embedding(embedded, t)
        point = embedded
    else:
        point = t.to(dtype).requires_grad_(True)
        logits = logits_of(m, point)
    each = losses(logits, labels)
    each.sum().backward()
    gradients = {n: p.grad.detach().clone() for n, p in m.named_parameters() if p.grad is not None}
    if embedded is not None:
        gradients["embedding.weight"] = torch.zeros_like(m.embedding.weight).index_add(0, t.reshape(-1), point.grad.reshape(-1, point.shape[-1]))
    return logits.detach(), each.detach(), point.grad.detach(), gradients, m


def pgd(model, data, labels, epsilon, step, steps, dtype):
    """Textbook iteration: ascent on the sum of cross-entropies along the sign, then ball, then box [0, 1]."""
    m = copy.deepcopy(model).to(dtype)
    clean = torch.tensor(data).to(dtype)
    x = clean.clone()
    smallest = torch.full((len(data),), float("inf"), dtype=torch.float64)
    for _ in range(steps):
        x = x.detach().requires_grad_(True)
        g, = torch.autograd.grad(losses(m(x), labels).sum(), x)
        share = (g.abs() / g.abs().flatten(1).amax(1).reshape(-1, *[1] * (g.dim() - 1))).flatten(1).double()
        share = torch.where(share == 0, torch.inf, share)
        smallest = torch.minimum(smallest, share.amin(1))
        x = torch.clamp(torch.clamp(x + step * g.sign(), clean - epsilon, clean + epsilon), 0, 1)
    return x.detach(), smallest


def attack(model, data_of, settings):
    """Rows whose gradient signs rounding cannot turn; Foolbox in float32 must agree with the textbook in both precisions."""
    import eagerpy
    import foolbox

    epsilon, step, steps, rows = settings["epsilon"], settings["stepSize"], settings["steps"], settings["rows"]
    data = data_of(4242, 96)
    labels = model(torch.tensor(data)).argmax(1).detach()
    labels[0] = (labels[0] + 1) % 10  # one row is wrong from the start
    in32, _ = pgd(model, data, labels, epsilon, step, steps, torch.float32)
    in64, smallest = pgd(model, data, labels, epsilon, step, steps, torch.float64)
    fine = [i for i in range(len(data)) if smallest[i] > 2e-5 and float((in32[i].double() - in64[i]).abs().max()) < 1e-6]
    wins = (copy.deepcopy(model).double()(in64).argmax(1) != labels)
    # both outcomes, as far as there are both
    good = [i for i in fine if wins[i] and i != 0][: rows // 2]
    bad = [i for i in fine if not wins[i]][: rows - len(good) - (0 in fine)]
    chosen = ([0] if 0 in fine else []) + good + bad
    chosen = sorted(chosen + [i for i in fine if i not in chosen][: rows - len(chosen)])
    data, labels, in64, smallest = data[chosen], labels[chosen], in64[chosen], smallest[chosen]
    peer = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    raw = foolbox.attacks.LinfProjectedGradientDescentAttack(abs_stepsize=step, steps=steps, random_start=False).run(
        peer, eagerpy.astensor(torch.tensor(data)), foolbox.criteria.Misclassification(eagerpy.astensor(labels)), epsilon=epsilon
    )
    difference = float((raw.raw.double() - in64).abs().max())
    assert difference < 2e-6, difference
    logits = copy.deepcopy(model).double()(in64).detach()
    return {
        "norm": "linf", "epsilon": epsilon, "stepSize": step, "steps": steps, "randomStart": False, "bounds": [0, 1], "loss": "cross-entropy",
        "foolbox": foolbox.__version__, "foolboxLargestDifference": number(difference), "smallestGradientShare": number(float(smallest.min())),
        "shape": list(data.shape), "inputs": numbers(data), "labels": labels.tolist(), "adversarial": numbers(in64.numpy()),
        "logits": numbers(logits.numpy()), "crossEntropy": numbers(losses(logits, labels).numpy()), "success": (logits.argmax(1) != labels).tolist(),
    }


def write(name, model, data, labels, how, opset, input_name="input", output_name="logits", training=None, logits_of=None, note=None, settings=None, reference=None, data_of=None):
    logits_of = logits_of or (lambda m, t: m(t))
    labels = torch.tensor(labels)
    path = os.path.join(OUT, name + ".onnx")
    is_training = training == torch.onnx.TrainingMode.TRAINING
    before = copy.deepcopy(model)
    exported = copy.deepcopy(model)
    proto = export(exported, torch.tensor(data[:2]), path, how, opset, input_name, output_name, training)
    reference = reference or before  # the same function with the weights of the file (BatchNorm folded)
    logits, each, gradient, gradients, used = evaluate(reference, data, labels, torch.float64, logits_of)
    logits32, _, gradient32, _, _ = evaluate(reference, data, labels, torch.float32, logits_of)
    rough = relative_difference(gradient32, gradient)
    assert rough < 1e-4, (name, "a kink is near", rough)
    if is_training:
        # the exporter's own tracing step has moved the statistics of the file once already
        file_values = {i.name: numpy_helper.to_array(i) for i in proto.graph.initializer}
        with torch.no_grad():
            for n, b in reference.named_buffers():
                if n in file_values:
                    b.copy_(torch.tensor(file_values[n]))
        logits, each, gradient, gradients, used = evaluate(reference, data, labels, torch.float64, logits_of)
    named = {n: p for n, p in list(reference.named_parameters()) + list(reference.named_buffers())}
    rows, unmatched = match_weights(proto, named, gradients)
    missing = [n for n in gradients if n not in [r["parameter"] for r in rows]]
    outputs = before(torch.tensor(data)) if not is_training else None
    run = session(proto)
    worst = 0.0
    for batch in ([len(data)] if is_training else [len(data), 1]):
        actual = run.run(None, {input_name: data[:batch]})
        expected = reference.double()(torch.tensor(data[:batch]) if data.dtype == np.int64 else torch.tensor(data[:batch]).double()).detach() if not is_training else logits
        reference.float()
        worst = max(worst, relative_difference(actual[0], expected))
    assert worst < 2e-4, (name, worst)
    row = {
        "about": "What PyTorch answers for the file beside it, in float64; see README.md",
        "name": name, "exporter": how, "versions": VERSIONS, "opset": {o.domain: o.version for o in proto.opset_import}, "irVersion": proto.ir_version,
        "bytes": os.path.getsize(path), "sha256": hashlib.sha256(open(path, "rb").read()).hexdigest(),
        "operators": sorted({n.op_type for n in proto.graph.node}),
        "input": {"name": input_name, "dtype": str(data.dtype), "shape": list(data.shape), "values": numbers(data)},
        "output": {"name": output_name},
        "labels": labels.tolist(),
        "logits": {"shape": list(logits.shape), "values": numbers(logits.numpy())},
        "crossEntropy": numbers(each.numpy()),
    }
    if note:
        row["note"] = note
    if outputs is not None and relative_difference(outputs.detach(), logits) > 1e-3:
        exact = before.double()(torch.tensor(data).double()).detach()
        row["output"].update({"shape": list(exact.shape), "values": numbers(exact.numpy())})
    key = "inputGradient"
    if data.dtype == np.int64:
        key = "embeddingGradient"
        table = [r["initializer"] for r in rows if r["parameter"] == "embedding.weight"][0]
        row["differentiateAt"] = [n.output[0] for n in proto.graph.node if n.op_type == "Gather" and n.input[0] == table][0]
    row[key] = {"shape": list(gradient.shape), "values": numbers(gradient.numpy())}
    row["weights"] = rows
    row["parametersNotInTheFile"] = missing
    row["otherFloatInitializers"] = unmatched
    if is_training:
        row["batchNorm"] = []
        counts = {}
        probe = copy.deepcopy(reference)
        for n, m in probe.named_modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                m.register_forward_pre_hook(lambda m, t, n=n: counts.__setitem__(n, t[0].numel() // t[0].shape[1]))
        probe(torch.tensor(data))
        old = dict(reference.named_buffers())
        nodes = {node.input[3]: node for node in proto.graph.node if node.op_type == "BatchNormalization"}
        for n, m in used.named_modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                before_mean, before_var = (old[n + k].double() for k in (".running_mean", ".running_var"))
                unbiased = (m.running_var - before_var * (1 - m.momentum)) / m.momentum
                after = before_var * (1 - m.momentum) + unbiased * (counts[n] - 1) / counts[n] * m.momentum
                names = list(nodes[n + ".running_mean"].output)
                check = copy.deepcopy(proto)
                check.graph.output.extend([onnx.helper.make_tensor_value_info(o, 1, None) for o in names[1:3]])
                got = session(check).run(names[1:3], {input_name: data})
                assert relative_difference(got[0], m.running_mean) < 1e-5 and relative_difference(got[1], after) < 1e-5, n
                row["batchNorm"].append({
                    "parameter": n, "outputs": names[1:3], "momentum": number(1 - m.momentum), "count": counts[n], "meanAfter": numbers(m.running_mean.numpy()),
                    "varianceAfter": numbers(after.numpy()), "varianceAfterInPyTorch": numbers(m.running_var.numpy()),
                })
    if settings:
        row["pgd"] = attack(before.float(), data_of, settings)
    with open(os.path.join(OUT, name + ".json"), "w") as file:
        file.write("{\n" + ",\n".join(json.dumps(k) + ": " + json.dumps(v, separators=(",", ":")) for k, v in row.items()) + "\n}\n")
    assert os.sep + "site-packages" not in open(path, "rb").read().decode("latin-1") and HERE not in open(path, "rb").read().decode("latin-1"), name
    SUMMARY.append(name)
    won = f"pgd {sum(row['pgd']['success'])}/{len(row['pgd']['success'])}" if settings else ""
    print(f"{name:26} {how:8} {row['opset']} {row['bytes']:7} + {os.path.getsize(path[:-5] + '.json'):7} forward {worst:.1e} weights {len(rows)} missing {missing} other {unmatched} {won}")


def fused(model):
    """Folds BatchNorm into the convolution before it, in float32, as the classic exporter does for evaluation."""
    m = copy.deepcopy(model).eval()
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    def visit(parent):
        children = list(parent.named_children())
        for (a, first), (b, second) in zip(children, children[1:]):
            if isinstance(first, (nn.Conv1d, nn.Conv2d)) and isinstance(second, nn.modules.batchnorm._BatchNorm):
                setattr(parent, a, fuse_conv_bn_eval(first, second))
                setattr(parent, b, nn.Identity())
        for _, child in parent.named_children():
            visit(child)

    visit(m)
    return m


def fresh(make, seed, gain=3.0):
    torch.manual_seed(seed)
    return lively(make(), seed, gain).eval()


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    digits = images(1, 3, 1, 28, 28)
    data_of = lambda seed, rows: images(seed, rows, 1, 28, 28)
    settings = {"epsilon": 0.01, "stepSize": 0.00125, "steps": 20, "rows": 8}
    write("mnist-cnn", fresh(MnistCnn, 1), digits, [3, 1, 7], "classic", 17, settings=settings, data_of=data_of)
    settings = {"epsilon": 0.03, "stepSize": 0.004, "steps": 20, "rows": 6}
    madry = fresh(MadryCnn, 2)
    write("madry-cnn-opset13", madry, digits, [0, 5, 9], "classic", 13, "image", "scores", settings=settings, data_of=data_of)
    write("madry-cnn-dynamo", madry, digits, [0, 5, 9], "dynamo", 18)

    color = images(2, 3, 3, 12, 12)
    resnet = fresh(ResNet, 3)
    write("resnet-eval-opset15", resnet, color, [2, 4, 6], "classic", 15, reference=fused(resnet), note="the exporter folded each BatchNorm into its convolution; the gradients are those of the folded weights")
    write("resnet-eval-batchnorm", resnet, color, [2, 4, 6], "classic", 17, training=torch.onnx.TrainingMode.PRESERVE, note="exported with training=PRESERVE: BatchNormalization is left in")
    write("resnet-train", copy.deepcopy(resnet).train(), color, [2, 4, 6], "classic", 17, training=torch.onnx.TrainingMode.TRAINING, note="BatchNormalization with training_mode 1: inputGradient is that of the SUM of the losses of this batch; PyTorch keeps the unbiased variance, ONNX the population variance")
    write("resnet-eval-dynamo", resnet, color, [2, 4, 6], "dynamo", 20, reference=fused(resnet))

    larger = images(3, 3, 3, 16, 16)
    mobile = fresh(MobileNet, 4)
    write("mobilenet-opset14", mobile, larger, [1, 1, 8], "classic", 14, reference=fused(mobile))
    write("mobilenet-dynamo", mobile, larger, [1, 1, 8], "dynamo", 18, reference=fused(mobile))

    patches = images(4, 3, 1, 16, 16)
    for name, how, opset, attention in [("vit-opset13", "classic", 13, False), ("vit-opset17", "classic", 17, True), ("vit-dynamo", "dynamo", 20, True)]:
        write(name, fresh(lambda: VisionTransformer(attention), 5), patches, [5, 0, 3], how, opset)

    ids = np.random.default_rng(5).integers(1, 40, (3, 12))
    write("text-opset14", fresh(lambda: TextClassifier(False), 6).train(), ids, [0, 2, 3], "classic", 14, "ids", training=torch.onnx.TrainingMode.PRESERVE)
    padded = ids.copy()
    padded[0, 9:] = 0
    padded[2, 5:] = 0
    write("text-masked-opset17", fresh(lambda: TextClassifier(True), 7).train(), padded, [1, 2, 3], "classic", 17, "ids", training=torch.onnx.TrainingMode.PRESERVE)
    write("text-dynamo", fresh(lambda: TextClassifier(False), 6).train(), ids, [0, 2, 3], "dynamo", 18, "ids")

    def mlp(out):
        return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, out))

    features = images(8, 3, 6) * 2 - 1
    features = np.float32(np.round(features * 128) / 128)
    inner = lambda m, t: m.net(t)
    write("mlp-softmax", fresh(lambda: Tail(mlp(5), nn.Softmax(dim=1)), 8), features, [0, 3, 4], "classic", 17, "features", "probabilities", logits_of=inner)
    write("mlp-logsoftmax", fresh(lambda: Tail(mlp(5), nn.LogSoftmax(dim=-1)), 9), features, [0, 3, 4], "dynamo", 18, "features", "log_probabilities", logits_of=inner)
    write("mlp-sigmoid", fresh(lambda: Tail(mlp(1), nn.Sigmoid()), 10), features, [0, 1, 1], "classic", 16, "features", "probability", logits_of=inner, note="one logit z, the logits are [0, z]")
    write("nhwc-cnn", fresh(NhwcCnn, 11), np.ascontiguousarray(images(9, 3, 3, 12, 12).transpose(0, 2, 3, 1)), [0, 2, 4], "classic", 17)
    small = images(10, 3, 1, 8, 8)
    write("less-common-opset17", fresh(Generative, 12), small, [0, 2, 5], "classic", 17)
    write("less-common-dynamo", fresh(Generative, 12), small, [0, 2, 5], "dynamo", 21)
    series = np.float32(np.round(np.random.default_rng(13).normal(size=(3, 2, 20)) * 64) / 64)
    one = fresh(Series, 13)
    write("series-opset17", one, series, [0, 1, 2], "classic", 17, reference=fused(one))
    print(len(SUMMARY), "models", sum(os.path.getsize(os.path.join(OUT, n + ".onnx")) for n in SUMMARY), "bytes")
