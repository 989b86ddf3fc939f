import { readFileSync } from "node:fs";
import { attribute, type ElementType, type Model, type Node, type Tensor } from "../../src/graph.ts";
import { readModel } from "../../src/proto/read.ts";
import { ARRAYS } from "../../src/proto/types.ts";
import { writeModel } from "../../src/proto/write.ts";
import { upgraded } from "../../src/upgrade.ts";
import { binary, cnn, mlp, normalised } from "../helpers/networks.ts";

interface Blob {
  readonly name: string;
  readonly dtype: Exclude<ElementType, "string">;
  readonly shape: readonly number[];
  readonly data: readonly [offset: number, bytes: number];
}
interface Case {
  readonly name: string;
  readonly opset: Readonly<Record<string, number>>;
  readonly model: readonly [offset: number, bytes: number];
  readonly sets: readonly { readonly inputs: readonly Blob[] }[];
}

/**
 * Small classifiers: ONNX's backend cases, their first float32 input open, the others fixed, their answer flattened to
 * logits; and some networks.
 */
export function sessionSeeds(): Uint8Array[] {
  const folder = new URL("../vectors/", import.meta.url);
  const { cases } = JSON.parse(readFileSync(new URL("backend/index.json", folder), "utf8")) as { cases: Case[] };
  const blobs = new Uint8Array(readFileSync(new URL("backend/cases.bin", folder)));
  const bytesAt = ([offset, length]: readonly [number, number]) => blobs.slice(offset, offset + length);
  const seeds: Uint8Array[] = [];
  for (const { model: at, opset, sets } of cases) {
    if (opset[""]! < 13 || opset[""]! > 25) continue;
    const { graph, ...model } = upgraded(readModel(bytesAt(at)));
    const open = sets[0]!.inputs.find(({ dtype, shape }) => dtype === "float32" && shape.length > 0);
    const output = graph.outputs[0];
    if (open === undefined || output === undefined) continue;
    const initializers = new Map<string, Tensor>(graph.initializers);
    for (const { name, dtype, shape, data } of sets[0]!.inputs) {
      if (name !== open.name)
        initializers.set(name, {
          dtype,
          shape,
          data: new ARRAYS[dtype](bytesAt(data).buffer as ArrayBuffer),
        } as Tensor);
    }
    const tail = (op: string, inputs: string[], attributes: Node["attributes"]): Node => ({
      ...{ name: "", op, domain: "", inputs, outputs: [`${op} of the seed`], attributes },
    });
    const nodes = [
      ...graph.nodes,
      tail("Cast", [output.name], { to: attribute.int(1) }),
      tail("Flatten", ["Cast of the seed"], { axis: attribute.int(1) }),
    ];
    const seed: Model = {
      ...model,
      graph: {
        ...graph,
        inputs: [{ name: open.name, dtype: "float32", shape: ["n", ...open.shape.slice(1)] }],
        outputs: [{ name: "Flatten of the seed", dtype: "float32", shape: undefined }],
        initializers,
        nodes,
      },
    };
    seeds.push(writeModel(seed));
  }
  for (const name of ["sklearn-logistic", "sklearn-logistic-zipmap", "sklearn-mlp", "mlp-sigmoid", "series-opset17"])
    seeds.push(new Uint8Array(readFileSync(new URL(`models/${name}.onnx`, folder))));
  return [...seeds.filter(({ length }) => length < 1500), mlp(), binary(), cnn(), normalised({ dropout: 0.5 })];
}
