"""Interoperation with the reference in Python (PyPI model-signing), both ways.

    pip install model-signing pyopenssl blake3
    python generate.py [NODE]

1. It signs the models below in every way it can; bundles.json keeps what it wrote, for interop.test.ts to verify.
2. sign.ts signs them, and the reference verifies that; transcript.txt keeps what it said.
Run from any folder; NODE is the command of Node, started in the root of the repository.
"""
import importlib.metadata
import json
import pathlib
import subprocess
import sys
import tempfile

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import hashing, signing, verifying

here = pathlib.Path(__file__).resolve().parent
root = here.parents[4]
files = {"model.json": b'{"layers": 3}', "weights.bin": bytes(range(256)) * 9, "tokenizer/vocab.txt": b"a\nb\n",
         "tokenizer.json": b"{}", "tokenizer-x": b"x", "modell \xc3\xa9.bin".encode("latin1").decode("utf8"): b"umlaut"}
curves = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}
ways = {
    "files-sha256": lambda: hashing.Config().use_file_serialization(hashing_algorithm="sha256"),
    "files-blake2": lambda: hashing.Config().use_file_serialization(hashing_algorithm="blake2"),
    "files-blake3": lambda: hashing.Config().use_file_serialization(hashing_algorithm="blake3"),
    "shards-sha256": lambda: hashing.Config().use_shard_serialization(hashing_algorithm="sha256", shard_size=1000),
    "shards-blake2": lambda: hashing.Config().use_shard_serialization(hashing_algorithm="blake2", shard_size=1000),
}


def pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


with tempfile.TemporaryDirectory() as scratch:
    scratch = pathlib.Path(scratch)
    model = scratch / "model"
    for name, content in files.items():
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(content)
    single = scratch / "single.bin"
    single.write_bytes(b"one file")

    bundles, said = [], []
    for curve, kind in curves.items():
        key = ec.generate_private_key(kind())
        private, public = scratch / f"{curve}.pem", scratch / f"{curve}.pub.pem"
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        private.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
        public.write_bytes(pem(key))
        for way, configure in ways.items():
            for path in (model, single):
                out = scratch / "out.sig"
                signing.Config().set_hashing_config(configure()).use_elliptic_key_signer(private_key=private).sign(path, out)
                bundles.append({"curve": curve, "way": way, "model": path.name, "key": pem(key).decode(), "bundle": out.read_text()})
        for path, compat in ((model, ""), (single, "python")):
            out = scratch / f"ours-{curve}-{path.name}.sig"
            node = sys.argv[1] if len(sys.argv) > 1 else "node"
            command = [node, "--import", "tsx", "--conditions=@parapet/source", str(here / "sign.ts")]
            subprocess.run([*command, str(path), str(private), str(out), compat], cwd=root, check=True)
            config = verifying.Config().use_elliptic_key_verifier(public_key=public)
            try:
                config.verify(path, out)
                said.append(f"{curve}, {path.name}, signed by Parapet{f' (compat {compat})' if compat else ''}: verified")
            except Exception as error:
                said.append(f"{curve}, {path.name}: REFUSED {type(error).__name__}: {error}")
            changed = path / "weights.bin" if path.is_dir() else path
            content = changed.read_bytes()
            changed.write_bytes(content[:-1] + b"!")
            try:
                config.verify(path, out)
                said.append(f"{curve}, {path.name}, changed: VERIFIED")
            except ValueError as error:
                said.append(f"{curve}, {path.name}, changed after that: refused ({str(error).splitlines()[0][:80]})")
            changed.write_bytes(content)

version = importlib.metadata.version("model-signing")
text = json.dumps({"model-signing": version, "files": {name: list(content) for name, content in files.items()},
                   "single.bin": list(b"one file"), "bundles": bundles}, ensure_ascii=False)
(here / "bundles.json").write_text(text + "\n")
(here / "transcript.txt").write_text("\n".join([f"model-signing {version} verifies:", *said]) + "\n")
print("\n".join(said))
