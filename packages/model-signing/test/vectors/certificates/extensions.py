"""Certificates for keys of Ed25519 and ML-DSA-65 below an authority of P-256. Writes extensions.json beside this file.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install cryptography==50.0.2 && /tmp/venv/bin/python extensions.py
"""
import datetime
import hashlib
import json
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

START, END = datetime.datetime(2025, 1, 1), datetime.datetime(2035, 1, 1)


def name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def builder(subject, key):
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name("authority"))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(START)
        .not_valid_after(END)
    )


authority = ec.generate_private_key(ec.SECP256R1())
root = (
    builder("authority", authority.public_key())
    .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    .sign(authority, hashes.SHA256())
)
result = {"root": pem(root)}
for algorithm, make in [
    ("ed25519", Ed25519PrivateKey.from_private_bytes),
    ("ml-dsa-65", MLDSA65PrivateKey.from_seed_bytes),
]:
    seed = hashlib.sha256(b"parapet certificate " + algorithm.encode()).digest()
    certificate = (
        builder(algorithm, make(seed).public_key())
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    result[algorithm] = {"seed": seed.hex(), "certificate": pem(certificate)}

path = pathlib.Path(__file__).parent / "extensions.json"
path.write_text(json.dumps(result, indent=1) + "\n")
