"""Keys and signatures of ML-DSA-65 by PyPI cryptography, which is OpenSSL. Writes ml-dsa-65.json beside this file.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install cryptography==50.0.2 && /tmp/venv/bin/python generate.py
"""
import hashlib
import json
import pathlib

import cryptography
from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

cases = []
for i, message in enumerate([b"", b"hello", bytes(range(256)) * 8]):
    seed = hashlib.sha256(b"parapet ml-dsa-65 %d" % i).digest()
    key = MLDSA65PrivateKey.from_seed_bytes(seed)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    case = {"seed": seed.hex(), "pem": public.decode(), "message": message.hex(), "signature": key.sign(message).hex()}
    # The same bytes signed with a context are another signature, which is refused here.
    case["withContext"] = key.sign(message, b"other").hex()
    cases.append(case)

made_by = f"PyPI cryptography {cryptography.__version__}, {backend.openssl_version_text()}"
path = pathlib.Path(__file__).parent / "ml-dsa-65.json"
path.write_text(json.dumps({"madeBy": made_by, "cases": cases}, indent=1) + "\n")
