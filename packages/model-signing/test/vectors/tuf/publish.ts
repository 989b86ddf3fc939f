// Publishes repositories that the reference in Python is to read, below the folder that is given: releases, keys that change,
// roles of teams; in each of them the model's signature is "digits/model.sig".
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateKeyPair, toUtf8 } from "@parapet/attestation";
import { ed25519Signer } from "@parapet/attestation/small";
import { openRepository, publishRelease } from "../../../src/node/publish.ts";
import {
  addDelegation,
  addTarget,
  createRepository,
  releaseRepository,
  releaseToJson,
  rotateKeys,
} from "../../../src/updates/index.ts";

const folder = process.argv[2]!;
const makers = {
  "ecdsa-sha2-nistp256": async () => (await generateKeyPair("ecdsa-p256-sha256")).signer,
  "ecdsa-sha2-nistp384": async () => (await generateKeyPair("ecdsa-p384-sha384")).signer,
  ed25519: async () => ed25519Signer(crypto.getRandomValues(new Uint8Array(32))),
};

for (const [kind, make] of Object.entries(makers)) {
  for (const consistentSnapshot of [true, false]) {
    const place = join(folder, `${kind}-${consistentSnapshot ? "consistent" : "plain"}`);
    mkdirSync(place, { recursive: true });
    const [a, b, c, machine, team] = await Promise.all([make(), make(), make(), make(), make()]);
    const signers = [a!, b!, c!, machine!, team!];
    const keys = [a!.publicKey, b!.publicKey];
    const online = { keys: [machine!.publicKey] };
    let repository = await createRepository({
      keys,
      threshold: 2,
      consistentSnapshot,
      roles: { timestamp: online, snapshot: online },
    });
    for (const version of ["1.0.0", "1.1.0", "1.2.0"]) {
      const bundle = toUtf8(`signature of ${version}`);
      const custom = releaseToJson({ name: "digits \u00e9\u{1f600}\n", version, status: "active" });
      repository = await addTarget(repository, "digits/model.sig", bundle, { custom });
      if (version === "1.1.0") {
        repository = await rotateKeys(repository, "root", { keys: [b!.publicKey, c!.publicKey], threshold: 2 });
        repository = await rotateKeys(repository, "timestamp", { keys: [c!.publicKey] });
        const role = { keys: [team!.publicKey], paths: ["faces/*"], terminating: true };
        repository = await addDelegation(repository, "faces", role);
        repository = await addTarget(repository, "faces/model.sig", toUtf8("faces"), { role: "faces" });
      }
      const targets = new Map([["digits/model.sig", bundle]]);
      if (version === "1.1.0") targets.set("faces/model.sig", toUtf8("faces"));
      await publishRelease(place, await releaseRepository(repository, { signers }), targets);
      repository = await openRepository(place);
    }
  }
}
writeFileSync(join(folder, "done"), "");
