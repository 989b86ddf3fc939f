import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RobustnessEvaluation } from "@parapet/attacks";
import { createVerifier, envelopeToJson, generateKeyPair, signEvidence, verifyEvidence } from "@parapet/attestation";
import { signFolder, verifyFolder } from "@parapet/model-signing/node";
import type { SignedModel } from "./record.ts";

/**
 * Signs the model's folder, and beside it what was found out about the model; then shows that a copy with one bit changed is
 * refused. The key is made for this run: a real one outlives it, and lies where no script can read it.
 */
export async function signModelFolder(
  folder: string,
  model: string,
  evaluation: RobustnessEvaluation,
): Promise<SignedModel & { readonly text: string }> {
  const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
  const trust = { keys: [publicKey.pem] };
  const signature = join(folder, `${model}.sig`);
  writeFileSync(join(folder, "signer.pem"), publicKey.pem);
  await signFolder(join(folder, model), { signer, output: signature });
  const { rootDigest, resources } = await verifyFolder(join(folder, model), signature, trust);

  // The evaluation is a statement about the same digest: whoever loads the model can ask for it.
  const subject = { name: model, digest: { sha256: rootDigest } };
  const claim = await signEvidence(evaluation, [subject], [signer]);
  const claims = `${JSON.stringify(envelopeToJson(claim))}\n`;
  await verifyEvidence(claim, [await createVerifier(publicKey)], { predicateType: evaluation.schema, subject });

  const copy = join(folder, "changed", model);
  mkdirSync(join(folder, "changed"), { recursive: true });
  cpSync(join(folder, model), copy, { recursive: true });
  const { name } = resources[0]!;
  const bytes = readFileSync(join(copy, name));
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(join(copy, name), bytes);
  const refusal = await verifyFolder(copy, signature, trust).catch((error: Error & { code?: string }) => error);
  rmSync(join(folder, "changed"), { recursive: true });
  if (!(refusal instanceof Error) || refusal.code !== "model-signing/changed")
    throw new Error("a changed model was not refused");
  return {
    ...{ signer, claims, id: `sha256:${rootDigest}` },
    text: `signed ${join(folder, model)} and its evaluation with the key ${publicKey.fingerprint.slice(0, 16)}...\na copy with one bit changed is refused: ${refusal.message}`,
  };
}
