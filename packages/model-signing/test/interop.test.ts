import { memorySource, verifyModel } from "@parapet/model-signing";
import { describe, expect, it } from "vitest";
import { nodeHashers } from "../src/node/hashers.ts";
import vectors from "./vectors/python/bundles.json" with { type: "json" };

// Bundles that the reference in Python wrote: vectors/python/generate.py. What it says of ours is in transcript.txt there.
const bytes = (numbers: readonly number[]) => Uint8Array.from(numbers);
const folder = Object.fromEntries(Object.entries(vectors.files).map(([name, content]) => [name, bytes(content)]));
const sources = {
  model: memorySource("model", folder),
  "single.bin": memorySource("single.bin", bytes(vectors["single.bin"])),
};

describe(`bundles of model-signing ${vectors["model-signing"]}`, () => {
  it.each(vectors.bundles)("$curve, $way, $model", async ({ way, model, key, bundle }) => {
    const source = sources[model as keyof typeof sources];
    const proven = await verifyModel(source, bundle, { keys: [key] }, { hashers: nodeHashers });
    expect(`${proven.method}-${proven.hash}`.replace("blake2b", "blake2")).toBe(way);
    expect(proven.forms.includes("single-file-as-dot")).toBe(model === "single.bin");
    if (model === "model") {
      // "tokenizer/vocab.txt" before "tokenizer-x" and "tokenizer.json": by the parts of the path.
      expect(proven.forms).toContain(proven.method === "files" ? "order-by-path-parts" : "order-of-shards-by-number");
      const changed = memorySource("model", {
        ...folder,
        "weights.bin": bytes(vectors.files["weights.bin"]).fill(0, 1000, 1001),
      });
      const refused = verifyModel(changed, bundle, { keys: [key] }, { hashers: nodeHashers });
      await expect(refused).rejects.toMatchObject({ code: "model-signing/changed" });
    }
  });
});
