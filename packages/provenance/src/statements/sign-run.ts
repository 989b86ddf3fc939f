import { type Envelope, type Signer, type Subject, signEvidence } from "@parapet/attestation";
import { expected } from "@parapet/core";
import type { DatasetManifest } from "../datasets/manifest.ts";
import { manifestId } from "../datasets/read-manifest.ts";
import { artefactOf, digestOf, indexRun, modelsOut } from "../index-run.ts";
import type { Run } from "../run.ts";

/**
 * Signs what a run did, as a statement about the models that came out. A model that is signed by `@parapet/model-signing` has
 * its root digest as identity, so that both speak of the same thing.
 *
 * @param run - from the recorder
 * @param signers - who vouches for it
 * @param subjects - ids of the artefacts that it is about; default the models that came out
 * @returns an envelope for `claims.jsonl`
 * @throws RangeError when no model came out, or a subject is none of the run's
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { createRecorder, memoryJournal, signRun } from "@parapet/provenance";
 * const { signer } = await generateKeyPair("ecdsa-p256-sha256");
 * const recorder = await createRecorder(memoryJournal(), { name: "digits" });
 * await recorder.step({ kind: "train", name: "Train" }, (step) => {
 *   step.make({ kind: "model", name: "digits", content: new Uint8Array(9) }, "weights");
 * });
 * const envelope = await signRun(await recorder.finish(), [signer]);
 * console.log(envelope.payloadType); // => application/vnd.in-toto+json
 * ```
 *
 * Source: predicate type `urn:parapet:evidence:lineage:v1`; no public one says which data a model was made from.
 */
export function signRun(run: Run, signers: readonly Signer[], subjects?: readonly string[]): Promise<Envelope> {
  const index = indexRun(run);
  const about = subjects?.map((id) => artefactOf(index, id, "subjects")) ?? modelsOut(index);
  if (about.length === 0) throw new RangeError(expected("run", "a model that came out, or subjects", "none"));
  const all: Subject[] = about.map((artefact) => ({ name: artefact.name, digest: { sha256: digestOf(artefact) } }));
  return signEvidence(run, all, signers);
}

/**
 * Signs what a dataset is, as a statement about its manifest.
 *
 * @param manifest - of the dataset
 * @param signers - who vouches for it
 * @returns an envelope for `claims.jsonl`
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { createDataset, signManifest } from "@parapet/provenance";
 * const { signer } = await generateKeyPair("ecdsa-p256-sha256");
 * const { manifest } = await createDataset([{ digit: 7 }], { name: "one" });
 * console.log((await signManifest(manifest, [signer])).signatures.length); // => 1
 * ```
 *
 * Source: predicate type `urn:parapet:evidence:dataset:v1`.
 */
export function signManifest(manifest: DatasetManifest, signers: readonly Signer[]): Promise<Envelope> {
  const sha256 = manifestId(manifest).slice("sha256:".length);
  return signEvidence(manifest, [{ name: manifest.name, digest: { sha256 } }], signers);
}
