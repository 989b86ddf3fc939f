"""Networks of full size with weights from a seed: the same numbers here and in ../helpers/seeded.ts, to the last bit.

`seeded_model(name)` is the torch module of a skeleton in large/ with the weights that the tests fill in.
"""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from torch.nn.utils.fusion import fuse_conv_bn_eval

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm)

# ---------------------------------------------------------------- numbers

def mix(x):
    """The last steps of MurmurHash3, 32 bits."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def hashes(label, size):
    """FNV-1a of the label, mixed with the index of each entry."""
    stream = 0x811C9DC5
    for byte in label.encode():
        stream = ((stream ^ byte) * 0x01000193) & 0xFFFFFFFF
    return mix(mix(np.arange(size, dtype=np.uint32)) ^ np.uint32(stream))


def uniform(label, size):
    """Multiples of 2^-23 in [-1, 1), exact in float64."""
    return (hashes(label, size) >> np.uint32(8)) / 2**23 - 1


# ---------------------------------------------------------------- networks

class MadryCnn(nn.Module):
    """The network of Madry et al. for MNIST: 32 and 64 filters of 5x5, 1024 hidden units."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 5, padding=2)
        self.fc1 = nn.Linear(64 * 7 * 7, 1024)
        self.fc2 = nn.Linear(1024, 10)

    def forward(self, image):
        y = F.max_pool2d(F.relu(self.conv1(image)), 2)
        y = F.max_pool2d(F.relu(self.conv2(y)), 2)
        return self.fc2(F.relu(self.fc1(torch.flatten(y, 1))))


class TextBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-12), nn.LayerNorm(dim, eps=1e-12)
        self.lin1, self.lin2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, y, mask):
        def split(t):
            return t.view(t.shape[0], t.shape[1], self.heads, -1).transpose(1, 2)

        q, k, v = split(self.query(y)), split(self.key(y)), split(self.value(y))
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
        scores = scores.masked_fill(mask[:, None, None, :] == 0, torch.finfo(torch.float32).min)
        attended = (F.softmax(scores, dim=-1) @ v).transpose(1, 2).reshape(y.shape)
        y = self.norm1(y + self.out(attended))
        return self.norm2(y + self.lin2(F.gelu(self.lin1(y))))


class TextClassifier(nn.Module):
    """The layers of DistilBERT, a third as wide: 6 blocks, normalised after each sum, the answer from the first token."""

    def __init__(self, words=8192, length=64, dim=256, heads=4, depth=6, classes=4):
        super().__init__()
        self.words = words
        self.embedding = nn.Embedding(words, dim)
        self.position = nn.Embedding(length, dim)
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.blocks = nn.ModuleList(TextBlock(dim, heads) for _ in range(depth))
        self.pre = nn.Linear(dim, dim)
        self.head = nn.Linear(dim, classes)

    def from_embedding(self, embedded, mask):
        y = self.norm(embedded + self.position(torch.arange(embedded.shape[1])))
        for block in self.blocks:
            y = block(y, mask)
        return self.head(F.relu(self.pre(y[:, 0])))

    def forward(self, ids, mask):
        return self.from_embedding(self.embedding(ids), mask)


def vit_tiny():
    return torchvision.models.VisionTransformer(224, 16, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768)


# `input`: shape of one row. `labels` of the rows with the numbers `rows`, which generate-large.py found to be far from every kink.
# `head` scales the last layer, so that no class has it all.
NETWORKS = {
    "madry-cnn": {"make": MadryCnn, "input": (1, 28, 28), "rows": (0, 1), "labels": (3, 7)},
    "resnet18": {"make": torchvision.models.resnet18, "input": (3, 224, 224), "rows": (58, 151), "labels": (281, 9), "head": 0.1},
    "mobilenet-v2": {"make": torchvision.models.mobilenet_v2, "input": (3, 96, 96), "rows": (352, 779), "labels": (281, 9), "fused": True},
    "vit-tiny": {"make": vit_tiny, "input": (3, 224, 224), "rows": (0, 1), "labels": (281, 9)},
    "text": {"make": TextClassifier, "input": (64,), "rows": (0, 1), "labels": (0, 2)},
}


def fused(model):
    """Folds each BatchNorm into the convolution before it, as exporters do for evaluation."""
    for parent in list(model.modules()):
        children = list(parent.named_children())
        for (first, conv), (second, norm) in zip(children, children[1:]):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, first, fuse_conv_bn_eval(conv, norm).requires_grad_(True))
                setattr(parent, second, nn.Identity())
    return model


def rules(name, model):
    """Parameter or statistic -> (offset, scale): its entries are offset + scale * uniform, rounded to float32."""
    found = {}
    last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    for path, module in model.named_modules():
        for key, tensor in list(module.named_parameters(recurse=False)) + list(module.named_buffers(recurse=False)):
            if not tensor.is_floating_point():
                continue
            if key == "running_var" or (isinstance(module, NORMS) and key == "weight"):
                offset, scale = 1.0, 0.5
            elif tensor.dim() == 1:
                offset, scale = 0.0, 0.1
            elif isinstance(module, (nn.Conv2d, nn.Linear, nn.MultiheadAttention)):
                # Variance 2 / fan-in, as He et al. for ReLU.
                offset, scale = 0.0, math.sqrt(6 / tensor[0].numel()) * (NETWORKS[name].get("head", 1) if module is last else 1)
            else:
                offset, scale = 0.0, 1.0
            found[f"{path}.{key}" if path else key] = (offset, float(np.float32(scale)))
    return found


def fill(name, model):
    """Gives every parameter and statistic the numbers that its name is the seed of."""
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    with torch.no_grad():
        for key, (offset, scale) in rules(name, model).items():
            values = np.float32(offset + scale * uniform(f"{name}/{key}", tensors[key].numel()))
            tensors[key].copy_(torch.from_numpy(values).reshape(tensors[key].shape))
    return model.eval()


def seeded_model(name):
    """The torch module in evaluation, in float32."""
    model = NETWORKS[name]["make"]().eval()
    return fill(name, fused(model) if NETWORKS[name].get("fused") else model)


def seeded_images(name, rows, size=None):
    """Numbers in [0, 1]: 4 x 4 squares, and noise. `rows`: a number for each; `size`: another height and width."""
    channels, height, _ = NETWORKS[name]["input"]
    size = size or height

    def image(row):
        noise = uniform(f"{name}/noise/{row}", channels * size * size).reshape(channels, size, size)
        squares = uniform(f"{name}/squares/{row}", channels * 16).reshape(channels, 4, 4)
        return np.float32(0.5 + 0.375 * squares.repeat(size // 4, axis=1).repeat(size // 4, axis=2) + 0.125 * noise)

    return np.stack([image(row) for row in rows])


def seeded_texts(name, rows):
    """Identifiers of words, and masks that leave out the end of each text: int64."""
    (length,) = NETWORKS[name]["input"]
    ids = [hashes(f"{name}/words/{row}", length) % np.uint32(8192) for row in rows]
    lengths = [length // 2 + int(hashes(f"{name}/length/{row}", 1)[0]) % (length // 2) for row in rows]
    return np.int64(ids), np.int64([np.arange(length) < n for n in lengths])
