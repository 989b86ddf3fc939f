import { readdirSync, readFileSync } from "node:fs";
import { parseJson, toHex } from "@parapet/attestation";
import { memorySource } from "@parapet/model-signing";
import { describe, expect, it } from "vitest";
import { ordered, readManifest, writeManifest } from "../src/manifest.ts";
import { nodeHashers } from "../src/node/hashers.ts";
import { entriesOf, hashAll } from "../src/sign.ts";
import { hasVectors, vector } from "./helpers/vectors.ts";

// What the reference in Python made of these models: vectors/oms/README.md tells their text.
const text = (line: string) => new TextEncoder().encode(line);
const inFolders = Object.fromEntries(
  [0, 1].flatMap((i) => [0, 1, 2].map((j) => [`d${i}/f${i}${j}`, text(`This is file f${i}${j} in d${i}.`)])),
);
const atRoot = Object.fromEntries([0, 1, 2, 3].map((i) => [`f${i}`, text(`This is file f${i} in root.`)]));
const models: Readonly<Record<string, Record<string, Uint8Array> | Uint8Array>> = {
  empty_model_file: text(""),
  sample_model_file: text("This is a simple model"),
  sample_model_folder: { ...inFolders, ...atRoot },
  model_folder_with_empty_file: { empty_file: text("") },
  deep_model_folder: Object.fromEntries([0, 1, 2, 3].map((i) => [`d0/d1/d2/d3/d4/f${i}`, text(`This is file f${i}.`)])),
  symlink_model_folder: { symlink_file: text("This is a simple model") },
};

describe.skipIf(!hasVectors)("statements of the reference", () => {
  const folder = vector("reference-goldens", "tests", "_signing", "testdata", "signing", "TestPayload");
  for (const name of hasVectors ? readdirSync(folder) : []) {
    it(name, async () => {
      const golden = parseJson(Uint8Array.from(readFileSync(`${folder}/${name}`))) as {
        subject: { name: string; digest: { sha256: string } }[];
        predicate: { resources: { name: string; digest: string }[]; serialization: Record<string, unknown> };
      };
      const model = models[name.replace(/_small_shards$|_shard$/, "")];
      const { resources, serialization } = golden.predicate;
      if (model === undefined || resources.length === 0) {
        // A model without a file that counts is refused, here as by the specification.
        expect(resources).toEqual([]);
        const payload = text(JSON.stringify(golden));
        await expect(readManifest(payload)).rejects.toMatchObject({ code: "model-signing/malformed" });
        return;
      }
      const size = Number(serialization.shard_size);
      const source = memorySource("model", model);
      const entries = await entriesOf(source, new Set(), false);
      const parts = entries.flatMap(({ name: file, size: bytes }) =>
        serialization.method === "files"
          ? [{ name: file }]
          : Array.from({ length: Math.ceil(bytes / size) }, (_, i) => ({
              name: file,
              shard: { start: i * size, end: Math.min(bytes, (i + 1) * size) },
            })),
      );
      const found = await hashAll(source, parts, entries, "sha256", { hashers: nodeHashers });
      expect(ordered(found, "python").map(({ digest }) => toHex(digest))).toEqual(
        resources.map(({ digest }) => digest),
      );
      // Ours, written for it, says the same; and theirs is read.
      const manifest = await readManifest(text(JSON.stringify(golden)));
      const payload = await writeManifest(
        { ...manifest, name: golden.subject[0]!.name, resources: found },
        source.kind === "file",
        "python",
      );
      const ours = JSON.parse(new TextDecoder().decode(payload));
      const { ignore_paths: _, ...theirs } = serialization;
      const { ignore_paths: __, ...own } = ours.predicate.serialization;
      expect(ours.subject).toEqual(golden.subject);
      expect(ours.predicate.resources).toEqual(resources);
      expect(own).toEqual(theirs);
    });
  }
});

describe.skipIf(!hasVectors)("lists of the reference", () => {
  const list = (kind: string) =>
    vector("reference-goldens", "tests", "_serialization", "testdata", kind, "TestSerializer");
  const files = ["file", "file_shard"].flatMap((kind) =>
    hasVectors ? readdirSync(list(kind)).map((name) => ({ kind, name })) : [],
  );

  it("are 21", () => {
    expect(files.length).toBe(21);
  });

  it.each(files)("$kind: $name", async ({ kind, name }) => {
    const lines = readFileSync(`${list(kind)}/${name}`, "utf8")
      .trimEnd()
      .split("\n");
    const model = models[name.replace(/_small_shards$/, "")];
    if (model === undefined) {
      // A folder without files: nothing to list, and nothing that is signed here.
      expect([name, lines]).toEqual([expect.stringMatching(/^empty_model_folder/), [""]]);
      return;
    }
    const source = memorySource("model", model);
    const size = name.endsWith("_small_shards") ? 8 : 1_000_000;
    const entries = await entriesOf(source, new Set(), false);
    const parts = entries.flatMap(({ name: file, size: bytes }) =>
      kind === "file"
        ? [{ name: file }]
        : Array.from({ length: Math.ceil(bytes / size) }, (_, i) => ({
            name: file,
            shard: { start: i * size, end: Math.min(bytes, (i + 1) * size) },
          })),
    );
    const found = ordered(await hashAll(source, parts, entries, "sha256", { hashers: nodeHashers }), "python");
    const written = found.map(({ name: file, shard, digest }) =>
      [source.kind === "file" ? "." : file, ...(shard ? [shard.start, shard.end] : []), toHex(digest)].join(":"),
    );
    expect(written.length === 0 ? [""] : written).toEqual(lines);
  });
});
