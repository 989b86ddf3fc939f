// Signs a model for generate.py: MODEL PRIVATE-KEY OUTPUT COMPAT
import { readFileSync } from "node:fs";
import { createSigner } from "@parapet/attestation";
import { signFolder } from "@parapet/model-signing/node";

const [model, key, output, compat] = process.argv.slice(2);
const signer = await createSigner(readFileSync(key!, "utf8"));
await signFolder(model!, { signer, output: output!, ...(compat === "python" ? { compat } : {}) });
