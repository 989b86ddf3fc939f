"""Repositories as the framework's reference in Python writes them, for update-vectors.test.ts: every kind of key, hash
prefixes, equal shares, hashes and lengths, a chain of roots. Time stands at 2026-03-01; all of it holds for 20 years.

python -m venv /tmp/v && /tmp/v/bin/pip install tuf==7.0.0 "securesystemslib[crypto]==1.4.0"
/tmp/v/bin/python generate.py > repositories.json
"""

import json
import sys
from datetime import datetime, timedelta, timezone
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384
from securesystemslib.signer import CryptoSigner, Signature, Signer, SSlibKey
from tuf import __version__
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

EXPIRES = datetime(2046, 1, 1, tzinfo=timezone.utc)


class P384(Signer):
    """The library verifies with this curve, and has no signer for it."""

    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP384R1())
        self.key = SSlibKey.from_crypto(self.private.public_key(), scheme="ecdsa-sha2-nistp384")

    public_key = property(lambda self: self.key)

    @classmethod
    def from_priv_key_uri(cls, *_):
        raise NotImplementedError

    def sign(self, payload):
        return Signature(self.key.keyid, self.private.sign(payload, ec.ECDSA(SHA384())).hex())


KINDS = {
    "ed25519": CryptoSigner.generate_ed25519,
    "ecdsa-sha2-nistp256": CryptoSigner.generate_ecdsa,
    "ecdsa-sha2-nistp384": P384,
    "rsassa-pss-sha256": CryptoSigner.generate_rsa,
}


class Written:
    def __init__(self):
        self.files, self.targets, self.meta = {}, {}, {}

    def sign(self, name, signed, signers):
        metadata = Metadata(signed)
        for signer in signers:
            metadata.sign(signer, append=True)
        data = metadata.to_bytes()
        self.files[name] = data.decode()
        return MetaFile(signed.version, len(data), {"sha256": sha256(data).hexdigest()})

    def target(self, targets, path, text):
        file = TargetFile.from_data(path, text.encode(), ["sha256", "sha512"])
        file.unrecognized_fields["custom"] = {"model": {"name": path, "version": "1.0.0", "status": "active"}}
        targets.targets[path] = file
        folder, _, name = path.rpartition("/")
        self.targets[f"{folder}/{file.hashes['sha256']}.{name}".lstrip("/")] = text


def repository(kind):
    make, out = KINDS[kind], Written()
    names = ["root", "timestamp", "snapshot", "targets"]
    signers = {name: [make(), make()] for name in names}
    root = Root(expires=EXPIRES)
    for name in names:
        for signer in signers[name]:
            root.add_key(signer.public_key, name)
        root.roles[name].threshold = 2
    out.sign("1.root.json", root, signers["root"])
    # The second root: other keys for root.
    fresh = [make(), make()]
    for signer in signers["root"]:
        root.revoke_key(signer.public_key.keyid, "root")
    for signer in fresh:
        root.add_key(signer.public_key, "root")
    root.version = 2
    out.sign("2.root.json", root, [*signers["root"], *fresh])

    targets = Targets(expires=EXPIRES)
    team, hashed, bins = make(), make(), make()
    out.target(targets, "top/model.sig", "top")
    targets.delegations = Delegations(
        {},
        {
            "team": DelegatedRole("team", [], 1, False, ["team/*", "team/v?/*.sig"]),
            "hashed": DelegatedRole("hashed", [], 1, True, None, ["0", "1", "2", "3", "4", "5", "6", "7"]),
            "rest": DelegatedRole("rest", [], 1, False, ["*"]),
        },
    )
    for signer, name in [(team, "team"), (hashed, "hashed"), (bins, "rest")]:
        targets.add_key(signer.public_key, name)
    roles = {name: Targets(expires=EXPIRES) for name in ["team", "hashed", "rest"]}
    out.target(roles["team"], "team/v1/a.sig", "team")
    out.target(roles["team"], "other/b.sig", "not its own")
    out.target(roles["hashed"], "x", "hashed")
    # Equal shares: 16 of them below "rest".
    shares = SuccinctRoles([], 1, 4, "share")
    roles["rest"].delegations = Delegations({}, None, shares)
    roles["rest"].add_key(bins.public_key)
    for name in shares.get_roles():
        roles[name] = Targets(expires=EXPIRES)
    for path in ["y", "model-a", "model-b"]:
        name = shares.get_role_for_target(path)
        out.target(roles[name], path, name)
    sig = {"team": team, "hashed": hashed}
    for name, role in roles.items():
        out.meta[f"{name}.json"] = out.sign(f"1.{name}.json", role, [sig.get(name, bins)])
    out.meta["targets.json"] = out.sign("1.targets.json", targets, signers["targets"])
    snapshot = Snapshot(expires=EXPIRES, meta=out.meta)
    timestamp = Timestamp(expires=EXPIRES, snapshot_meta=out.sign("1.snapshot.json", snapshot, signers["snapshot"]))
    out.sign("timestamp.json", timestamp, signers["timestamp"])
    return {"metadata": out.files, "targets": out.targets}


json.dump(
    {
        "writer": f"tuf {__version__}, Python {sys.version.split()[0]}",
        "repositories": {kind: repository(kind) for kind in KINDS},
    },
    sys.stdout,
    separators=(",", ":"),
)
