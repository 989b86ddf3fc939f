"""Certificate chains, good ones and bad ones, for certificate.test.ts: pip install cryptography; python generate.py

Each case: chain (the signer's certificate first), roots, and the signer's private key where the chain is good. Times are fixed.
"""
import datetime
import json
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

here = pathlib.Path(__file__).resolve().parent
early, late = datetime.datetime(2025, 1, 1), datetime.datetime(2045, 1, 1)
keys = {name: ec.generate_private_key(kind()) for name, kind in
        {"root": ec.SECP384R1, "middle": ec.SECP256R1, "leaf": ec.SECP256R1, "other": ec.SECP256R1, "p521": ec.SECP521R1}.items()}
keys["rsa"] = rsa.generate_private_key(65537, 2048)
keys["weak"] = rsa.generate_private_key(65537, 1024)


def make(subject, key, issuer, by, *, ca=False, length=None, usage=None, purposes=(), dates=(early, late), extra=None, digest=hashes.SHA256()):
    name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    builder = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(keys[key].public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(dates[0]).not_valid_after(dates[1]))
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, length), critical=True)
    if usage is not None:
        flags = dict.fromkeys(["digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                               "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"], False)
        builder = builder.add_extension(x509.KeyUsage(**{**flags, usage: True}), critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if extra:
        builder = builder.add_extension(extra, critical=True)
    return builder.sign(keys[by], digest)


code = [ExtendedKeyUsageOID.CODE_SIGNING]
authority = dict(ca=True, usage="key_cert_sign")
signer = dict(usage="digital_signature", purposes=code)
root = make("root", "root", "root", "root", **authority)
middle = make("middle", "middle", "root", "root", length=0, **authority)
leaf = make("leaf", "leaf", "middle", "middle", **signer)
past, future = (early, datetime.datetime(2025, 6, 1)), (datetime.datetime(2044, 1, 1), late)
cases = {
    "good": ([leaf, middle], [root], None),
    "good, chain out of order and with others": ([leaf, make("x", "other", "x", "other", **authority), root, middle], [root], None),
    "good, trusted in the middle": ([leaf], [middle], None),
    "good, itself trusted": ([leaf], [leaf], None),
    "good, RSA root": ([make("leaf", "leaf", "rsa", "rsa", digest=hashes.SHA384(), **signer)], [make("rsa", "rsa", "rsa", "rsa", digest=hashes.SHA512(), **authority)], None),
    "good, P-521 root": ([make("leaf", "leaf", "p521", "p521", digest=hashes.SHA512(), **signer)], [make("p521", "p521", "p521", "p521", digest=hashes.SHA512(), **authority)], None),
    "no code signing": ([make("leaf", "leaf", "middle", "middle", usage="digital_signature", purposes=[ExtendedKeyUsageOID.SERVER_AUTH]), middle], [root], "code signing"),
    "no purposes": ([make("leaf", "leaf", "middle", "middle", usage="digital_signature"), middle], [root], "code signing"),
    "no digital signature": ([make("leaf", "leaf", "middle", "middle", usage="key_encipherment", purposes=code), middle], [root], "digital signature"),
    "expired": ([make("leaf", "leaf", "middle", "middle", dates=past, **signer), middle], [root], "expired at 2025-06-01"),
    "not yet valid": ([make("leaf", "leaf", "middle", "middle", dates=future, **signer), middle], [root], "not valid before 2044"),
    "expired in the middle": ([leaf, make("middle", "middle", "root", "root", dates=past, **authority)], [root], "expired at"),
    "not yet valid in the middle": ([leaf, make("middle", "middle", "root", "root", dates=future, **authority)], [root], "not valid before"),
    "expired root": ([leaf, middle], [make("root", "root", "root", "root", dates=past, **authority)], "expired at"),
    "signed by no authority": ([leaf, make("middle", "middle", "root", "root", ca=False, usage="key_cert_sign")], [root], "no certificate authority"),
    "without constraints": ([leaf, make("middle", "middle", "root", "root", ca=None, usage="key_cert_sign")], [root], "no certificate authority"),
    "may not sign certificates": ([leaf, make("middle", "middle", "root", "root", ca=True, usage="crl_sign")], [root], "may not sign certificates"),
    "path too long": ([leaf, make("middle", "middle", "between", "other", **authority), make("between", "other", "root", "root", length=0, **authority)], [root], "no path as long"),
    "middle left out": ([leaf], [root], "lead to a trusted"),
    "another root": ([leaf, middle], [make("root", "other", "root", "other", **authority)], "lead to a trusted"),
    "same name, another key in the middle": ([leaf, make("middle", "other", "root", "root", **authority)], [root], "lead to a trusted"),
    "weak RSA": ([make("leaf", "leaf", "weak", "weak", **signer)], [make("weak", "weak", "weak", "weak", **authority)], "lead to a trusted"),
    "name constraints": ([leaf, make("middle", "middle", "root", "root", extra=x509.NameConstraints([x509.DNSName("example.com")], None), **authority)], [root], "2.5.29.30"),
}
text = lambda certificates: "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in certificates)
(here / "certificates.json").write_text(json.dumps({
    "key": keys["leaf"].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode(),
    "cases": [{"name": name, "chain": text(chain), "roots": text(roots), "refused": refused} for name, (chain, roots, refused) in cases.items()],
}, indent=1) + "\n")
