"""Certificates that could lead anywhere, and two of one person: python crossed.py > crossed.json, PyPI cryptography."""
import datetime
import json

import cryptography
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

START = datetime.datetime(2020, 1, 1)
END = datetime.datetime(2050, 1, 1)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, key, issuer, issuer_key, authority):
    usage = dict.fromkeys(
        ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only", "decipher_only"],
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, **usage), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def pem(*certificates):
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in certificates)


def secret(key):
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()


root_key, cross_key, middle_key, leaf_key = (new_key() for _ in range(4))
root = certificate("root", root_key, "root", root_key, True)
# Fifteen that all carry one name and one key: each seems to be signed by each.
crossed = [certificate("crossed", cross_key, "crossed", cross_key, True) for _ in range(15)]
leaf = certificate("leaf", leaf_key, "crossed", cross_key, False)
# The same leaf, whose sixteenth authority is one that the root signed.
bridge = certificate("crossed", cross_key, "root", root_key, True)
middle = certificate("middle", middle_key, "root", root_key, True)
people = []
for person in ["mallory", "mallory", "bob"]:
    key = new_key()
    people.append({"name": person, "key": secret(key), "chain": pem(certificate(person, key, "middle", middle_key, False), middle)})
print(
    json.dumps(
        {
            "cryptography": cryptography.__version__,
            "root": pem(root),
            "key": secret(leaf_key),
            "crossed": pem(leaf, *crossed),
            "bridged": pem(leaf, *crossed[:14], bridge),
            "middle": pem(middle),
            "people": people,
        },
        indent=1,
    )
)
