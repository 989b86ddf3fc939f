import { existsSync, readdirSync, readFileSync } from "node:fs";
import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import type { Model } from "../../src/graph.ts";
import { inspectOnnx } from "../../src/inspect.ts";
import { readModel } from "../../src/proto/read.ts";
import { writeModel } from "../../src/proto/write.ts";
import reference from "./reference.json" with { type: "json" };

const folder = new URL("../vectors/models/", import.meta.url);
const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".onnx")) : [];

test("there are files by exporters", () => {
  expect(files.length).toBeGreaterThan(0);
});

/** Inputs for any model: small numbers, a batch of 2. */
function feedsFor({ graph }: Model): Record<string, ort.Tensor> {
  return Object.fromEntries(
    graph.inputs.map(({ name, dtype, shape }) => {
      const dims = (shape ?? []).map((dim) => (typeof dim === "number" ? dim : 2));
      const count = dims.reduce((product, dim) => product * dim, 1);
      const numbers = Array.from({ length: count }, (_, i) => (i * 7) % 11);
      if (dtype === "int64") return [name, new ort.Tensor("int64", BigInt64Array.from(numbers, BigInt), dims)];
      if (dtype === "bool")
        return [
          name,
          new ort.Tensor(
            "bool",
            Uint8Array.from(numbers, (v) => v % 2),
            dims,
          ),
        ];
      return [
        name,
        new ort.Tensor(
          "float32",
          Float32Array.from(numbers, (v) => v / 11),
          dims,
        ),
      ];
    }),
  );
}

async function run(bytes: Uint8Array, model: Model) {
  const session = await ort.InferenceSession.create(bytes, {
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
  const names = model.graph.outputs.map(({ name }) => name);
  const results = await session.run(feedsFor(model), names);
  await session.release();
  return names.map((name) => ({ dims: results[name]!.dims, data: results[name]!.data }));
}

describe.each(files)("%s", (file) => {
  const bytes = readFileSync(new URL(file, folder));
  const model = readModel(bytes);

  test("is written to the same bytes from then on", () => {
    const written = writeModel(model);
    const again = readModel(written);
    expect(again.graph).toEqual(model.graph);
    expect(writeModel(again)).toEqual(written);
  });

  test("answers the same when it is written anew", async () => {
    expect(await run(writeModel(model, { values: model.values }), model)).toEqual(
      await run(new Uint8Array(bytes), model),
    );
  });

  test("is inspected", () => {
    const { operators, opsets, inputs, outputs } = inspectOnnx(bytes);
    const nodes = Object.values(operators).reduce((sum, count) => sum + count, 0);
    expect(nodes).toBeGreaterThanOrEqual(model.graph.nodes.length);
    expect(opsets[""]).toBeGreaterThanOrEqual(13);
    expect(inputs.length).toBeGreaterThan(0);
    expect(outputs.length).toBeGreaterThan(0);
  });
});

describe("as Python's onnx reads it", () => {
  test.each(reference.models.filter(({ file }) => files.includes(file)))("$file", (expected) => {
    const model = readModel(readFileSync(new URL(expected.file, folder)));
    expect(model.irVersion).toBe(expected.irVersion);
    expect(model.producer).toBe(expected.producer);
    expect(Object.fromEntries(model.opsets)).toEqual(expected.opsets);
    expect(model.graph.name).toBe(expected.graph);
    expect(
      model.graph.nodes.map(({ name, op, domain, inputs, outputs }) => ({ name, op, domain, inputs, outputs })),
    ).toEqual(expected.nodes.map(({ attributes: _, ...node }) => node));
    expect(model.graph.nodes.map(({ attributes }) => Object.keys(attributes).sort())).toEqual(
      expected.nodes.map(({ attributes }) => attributes),
    );
    expect(
      Array.from(model.graph.initializers, ([name, { dtype, shape, data }]) => ({
        name,
        dtype,
        shape,
        first: Array.from(data.slice(0, 3) as ArrayLike<number>, Number),
      })),
    ).toEqual(expected.initializers);
  });
});
