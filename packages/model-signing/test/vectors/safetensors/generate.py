"""Files of safetensors, good and bad, and what the reference says of them.

    python generate.py                    writes safetensors.json beside this file
    python generate.py fuzz COUNT OUT     writes so many changed files and the verdicts to OUT: for each the length as u32,
                                          the verdict as u8 (1: taken), and the file

Needs PyPI safetensors (see "version" in the result).
"""

import base64
import json
import pathlib
import random
import struct
import sys

import safetensors


def file(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="U8", shape=(1,), offsets=(0, 1), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def verdict(data):
    try:
        return sorted([name, t["dtype"], t["shape"], bytes(t["data"]).hex()] for name, t in safetensors.deserialize(data))
    except Exception as error:
        return str(error)[:160]


TYPES = {
    4: ["F4"],
    6: ["F6_E2M3", "F6_E3M2"],
    8: ["BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"],
    16: ["I16", "U16", "F16", "BF16"],
    32: ["I32", "U32", "F32"],
    64: ["C64", "F64", "I64", "U64"],
}


def cases():
    for bits, names in TYPES.items():
        for name in names:
            size = 3 * 4 * bits // 8
            yield f"type {name}", file({"a": entry(name, (3, 4), (0, size))}, bytes(range(size)))
            yield f"type {name}, a byte too long", file({"a": entry(name, (3, 4), (0, size + 1))}, bytes(size + 1))
            yield f"type {name}, a byte too short", file({"a": entry(name, (3, 4), (0, size - 1))}, bytes(size - 1))
    yield "F4, half a byte", file({"a": entry("F4", (3,), (0, 2))}, bytes(2))
    yield "F6, part of a byte", file({"a": entry("F6_E2M3", (3,), (0, 3))}, bytes(3))
    for name in ["U4", "f32", "C128", "", "constructor", "__proto__", "FLOAT"]:
        yield f"type {name!r}", file({"a": entry(name)}, b"\1")
    good = {"__metadata__": {"format": "pt"}, "b": entry("F32", (2,), (4, 12)), "a": entry("U8", (4,), (0, 4))}
    yield "two tensors, the second first", file(good, bytes(range(12)))
    yield "padded", file(json.dumps(good).encode() + b"   ", bytes(12))
    yield "no tensors", file({})
    yield "empty tensors between", file(
        {"a": entry("F32", (0, 5), (0, 0)), "b": entry(), "c": entry("U8", (0,), (1, 1))}, b"\1"
    )
    yield "no axes", file({"a": entry("F32", (), (0, 4))}, bytes(4))
    yield "names of all kinds", file({"": entry(), "é\u0000\u2028": entry(offsets=(1, 2)), "\U0001f600": entry(offsets=(2, 3))}, bytes(3))
    yield "escaped name", file(b'{"\\u0061\\n":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"\1")

    yield "empty file", b""
    yield "seven bytes", bytes(7)
    yield "header of no bytes", file(b"")
    yield "header longer than the file", file(good, bytes(12), length=10_000)
    yield "header one byte too long", file({}, b"", length=3)
    for name, length in [("2^32", 2**32), ("2^53 + 1", 2**53 + 1), ("2^63", 2**63), ("2^64 - 1", 2**64 - 1)]:
        yield f"header of {name}", file({}, b"", length=length)
    yield "header of 100 MB and a byte in a file that is shorter", file({}, b"", length=100_000_001)
    yield "not from {", file(b" {}")
    yield "byte order mark", file(b"\xef\xbb\xbf{}")
    yield "a list", file(b"[]")
    yield "not UTF-8", file(b'{"\xff":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"\1")
    yield "overlong UTF-8", file(b'{"\xc0\x80":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"\1")
    yield "half of a surrogate pair", file(b'{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"\1")
    yield "not closed", file(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}', b"\1")
    yield "two objects", file(b"{}{}")
    yield "padded with line ends", file(b"{}\n\n")
    yield "padded with zeros", file(b"{}\0\0")
    one = b'"dtype":"U8","shape":[1],"data_offsets":[0,1]'
    yield "a name twice", file(b'{"a":{%b},"a":{%b}}' % (one, one), b"\1")
    yield "a name twice, elsewhere", file(b'{"a":{%b},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}' % one, b"\1\2")
    yield "a name twice, escaped", file(b'{"a":{%b},"\\u0061":{%b}}' % (one, one), b"\1")
    yield "a field twice", file(b'{"a":{"dtype":"U8",%b}}' % one, b"\1")
    yield "metadata twice", file(b'{"__metadata__":{},"__metadata__":{}}')
    yield "a text of metadata twice", file(b'{"__metadata__":{"a":"b","a":"c"}}')
    yield "metadata of a number", file({"__metadata__": {"a": 1}})
    yield "metadata of an object", file({"__metadata__": {"a": {}}})
    yield "metadata null", file({"__metadata__": None})
    yield "metadata a list", file({"__metadata__": []})
    yield "metadata of a tensor", file({"__metadata__": entry()}, b"\1")
    yield "metadata __proto__", file({"__metadata__": {"__proto__": "x"}})
    yield "tensor __proto__", file({"__proto__": entry()}, b"\1")
    yield "tensor constructor", file({"constructor": entry(), "toString": entry(offsets=(1, 2))}, b"\1\2")
    yield "unknown field", file({"a": entry(strides=[1])}, b"\1")
    for field in ["dtype", "shape", "data_offsets"]:
        yield f"without {field}", file({"a": {k: v for k, v in entry().items() if k != field}}, b"\1")
        for value in [None, "1", 1, {}, [], [None], ["1"], [[1]], [1, 2, 3], True]:
            yield f"{field} {json.dumps(value)}", file({"a": {**entry(), field: value}}, b"\1")
    yield "an entry that is a list", file(b'{"a":["U8",[1],[0,1]]}', b"\1")
    yield "an entry that is null", file({"a": None})
    for text in ["1.0", "1e0", "-1", "-0", "01", "18446744073709551616", "9007199254740993", "true", "NaN", "0x1"]:
        yield f"shape [{text}]", file(b'{"a":{"dtype":"U8","shape":[%b],"data_offsets":[0,1]}}' % text.encode(), b"\1")
        yield f"offsets [{text}, 1]", file(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[%b,1]}}' % text.encode(), b"\1")
    yield "hole", file({"a": entry(), "b": entry(offsets=(2, 3))}, bytes(3))
    yield "hole in front", file({"a": entry(offsets=(1, 2))}, bytes(2))
    yield "overlap", file({"a": entry("U8", (2,), (0, 2)), "b": entry("U8", (2,), (1, 3))}, bytes(3))
    yield "the same place twice", file({"a": entry(), "b": entry()}, bytes(1))
    yield "an empty tensor inside of another", file({"a": entry("U8", (2,), (0, 2)), "b": entry("U8", (0,), (1, 1))}, bytes(2))
    yield "bytes behind", file({"a": entry()}, bytes(2))
    yield "bytes missing", file({"a": entry("U8", (2,), (0, 2))}, bytes(1))
    yield "end before beginning", file({"a": entry(), "b": entry("U8", (0,), (1, 0))}, bytes(1))
    yield "overflow to 0", file({"a": entry("F32", (2**32, 2**32), (0, 0))})
    yield "overflow to 4", file({"a": entry("U8", (2**62 + 1, 4), (0, 4))}, bytes(4))
    yield "overflow of bits", file({"a": entry("F64", (2**61,), (0, 0))})
    yield "overflow, then 0", file({"a": entry("F32", (2**40, 2**40, 0), (0, 0))})
    yield "0, then large", file({"a": entry("F32", (0, 2**40, 2**40), (0, 0))})
    yield "many axes", file({"a": entry("U8", (1,) * 64)}, b"\1")
    yield "deep", file(b'{"a":' + b"[" * 500 + b"]" * 500 + b"}")
    yield "deep objects", file(b'{"a":' * 500 + b"1" + b"}" * 500)


SEEDS = [
    file({"__metadata__": {"format": "pt"}, "b": entry("F32", (2,), (4, 12)), "a": entry("U8", (4,), (0, 4))}, bytes(range(12))),
    file({"a": entry("F4", (2, 3), (0, 3)), "bb": entry("I64", (0,), (3, 3)), "c": entry("U8", (1, 1), (3, 4))}, bytes(4)),
    file(b"{}   "),
]
PIECES = [b'"a"', b'"__metadata__":{"x":"y"},', b"0", b"1", b",", b"[", b"]", b"{", b"}", b":", b" ", b"\\u0061", b"-", b".0", b"e1", b"null", b'"U8"', b'"F4"', b"\n", b"[0,1]", b"\xff", b"18446744073709551615"]


def changed(rng):
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(7)
        if kind == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 1 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[at : at + rng.randrange(1, 9)]
        elif kind == 3:
            data[at:at] = rng.choice(PIECES)
        elif kind == 4:
            piece = rng.choice(PIECES)
            data[at : at + len(piece)] = piece
        elif kind == 5 and at < len(data):
            digits = [i for i, b in enumerate(data) if 48 <= b <= 57]
            if digits:
                data[rng.choice(digits)] = 48 + rng.randrange(10)
        else:
            start = rng.randrange(len(data) + 1)
            data[at:at] = data[start : start + rng.randrange(1, 60)]
    # Mostly with the length of the header as it is now, so that what was changed is looked at.
    if len(data) >= 8 and rng.random() < 0.8:
        end = data.rfind(b"}") + 1
        if rng.random() < 0.5 and end > 8:
            data[0:8] = struct.pack("<Q", end - 8)
    return bytes(data)


def main():
    if sys.argv[1:2] == ["fuzz"]:
        rng = random.Random(7)
        with open(sys.argv[3], "wb") as out:
            for _ in range(int(sys.argv[2])):
                data = changed(rng)
                out.write(struct.pack("<IB", len(data), isinstance(verdict(data), list)) + data)
        return
    rng = random.Random(1)
    every = [*cases(), *((f"changed {i}", changed(rng)) for i in range(300))]
    lines = [
        json.dumps({"name": name, "file": base64.b64encode(data).decode(), "verdict": verdict(data)}) for name, data in every
    ]
    text = '{\n"version": "safetensors %s",\n"cases": [\n%s\n]\n}\n' % (safetensors.__version__, ",\n".join(lines))
    pathlib.Path(__file__).with_name("safetensors.json").write_text(text)


main()
