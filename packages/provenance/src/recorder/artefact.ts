import { toHex, toUtf8 } from "@parapet/attestation";
import { expected } from "@parapet/core";
import type { DatasetManifest } from "../datasets/manifest.ts";
import { manifestId } from "../datasets/read-manifest.ts";
import { type HashFunction, portableHash } from "../merkle/tree.ts";
import { type Artefact, artefactKinds } from "../run.ts";

/** An artefact by its content, by its manifest, or by a digest that is known. */
export type ArtefactOptions =
  | (Omit<Artefact, "id"> & { readonly content: Uint8Array | string })
  | { readonly kind?: "dataset"; readonly manifest: DatasetManifest; readonly uri?: string; readonly name?: string };

/** The artefact that is meant, with its identity. */
export function describeArtefact(given: ArtefactOptions | Artefact, hash: HashFunction = portableHash): Artefact {
  if ("manifest" in given) {
    const { manifest, uri, name } = given;
    const { records, licence, description } = manifest;
    return {
      ...{ id: manifestId(manifest), kind: "dataset", name: name ?? manifest.name, records },
      ...(uri === undefined ? {} : { uri }),
      ...(licence === undefined ? {} : { licence }),
      ...(description === undefined ? {} : { description }),
    };
  }
  if (!artefactKinds.includes(given.kind))
    throw new TypeError(expected("kind", `one of ${artefactKinds.join(", ")}`, given.kind));
  if (typeof given.name !== "string" || given.name === "") throw new TypeError(expected("name", "a text", given.name));
  if ("content" in given) {
    const { content, ...about } = given;
    const bytes = typeof content === "string" ? toUtf8(content) : content;
    return { size: bytes.length, ...about, id: `sha256:${toHex(hash(bytes))}` };
  }
  if (!/^sha256:[0-9a-f]{64}$/.test(given.id))
    throw new TypeError(expected("id", '"sha256:" and 64 hexadecimal digits, or "content"', given.id));
  return given;
}
