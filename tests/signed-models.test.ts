import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { generateKeyPair, type KeyPair } from "@parapet/attestation";
import { verifyingFetch, verifyingIOHandler } from "@parapet/model-signing";
import { openVerified, signFolder } from "@parapet/model-signing/node";
import * as tf from "@tensorflow/tfjs";
import * as runtime from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { releasesOf } from "./helpers/releases.ts";

// Real models, a real server, TensorFlow.js and onnxruntime: what is signed loads, and nothing else does.
let folder: string;
let pair: KeyPair;
let server: Server;
let base: string;
let trust: { keys: string[] };
let asked: string[];

const signature = () => readFileSync(join(folder, "model.sig"), "utf8");
const put = (name: string, content: string | Uint8Array) => writeFileSync(join(folder, name), content);
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => "loaded",
    (error: { code?: string }) => error.code ?? String(error),
  );

beforeAll(async () => {
  await tf.setBackend("cpu");
  folder = mkdtempSync(join(tmpdir(), "signed-models-"));
  pair = await generateKeyPair("ecdsa-p256-sha256");
  trust = { keys: [pair.publicKey.pem] };
  const model = tf.sequential({ layers: [tf.layers.dense({ inputShape: [3], units: 2, kernelInitializer: "ones" })] });
  await model.save(
    tf.io.withSaveHandler(async ({ weightData, weightSpecs, ...artifacts }) => {
      put(
        "model.json",
        JSON.stringify({ ...artifacts, weightsManifest: [{ paths: ["weights.bin"], weights: weightSpecs }] }),
      );
      put("weights.bin", new Uint8Array(weightData as ArrayBuffer));
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    }),
  );
  copyFileSync(new URL("../bench/models/standard.onnx", import.meta.url), join(folder, "digits.onnx"));
  await signFolder(folder, { signer: pair.signer, output: join(folder, "model.sig") });
  server = createServer((request, response) => {
    asked.push(request.url!);
    try {
      response.end(readFileSync(join(folder, request.url!.slice("/models/".length))));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/models/`;
  asked = [];
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

/** With a file in another state for a while. */
async function during<T>(name: string, content: string | Uint8Array | undefined, run: () => Promise<T>): Promise<T> {
  const path = join(folder, name);
  const before = readFileSync(path);
  if (content === undefined) rmSync(path);
  else writeFileSync(path, content);
  try {
    return await run();
  } finally {
    writeFileSync(path, before);
  }
}

describe("a model of TensorFlow.js", () => {
  const load = async (whom: Parameters<typeof verifyingIOHandler>[1] = trust) =>
    tf.loadLayersModel(await verifyingIOHandler(signature(), whom, { base }));

  it("loads, and answers", async () => {
    const model = await load();
    const answer = model.predict(tf.tensor2d([[1, 2, 3]])) as tf.Tensor;
    expect([...answer.dataSync()]).toEqual([6, 6]);
  });

  it("is refused when its weights or its topology were changed, and no weight is used", async () => {
    const weights = readFileSync(join(folder, "weights.bin"));
    weights[0]! ^= 1;
    expect(await during("weights.bin", weights, () => code(load()))).toBe("model-signing/changed");
    const topology = readFileSync(join(folder, "model.json"), "utf8").replace('"linear"', '"relu"  ');
    asked = [];
    expect(await during("model.json", topology, () => code(load()))).toBe("model-signing/changed");
    expect(asked).toEqual(["/models/model.json"]); // the weights were not even asked for
  });

  it("is refused when files changed their names, by another signer, and when the signature is gone", async () => {
    const onnx = readFileSync(join(folder, "digits.onnx"));
    expect(await during("weights.bin", onnx, () => code(load()))).toBe("model-signing/changed");
    const other = { keys: [(await generateKeyPair("ecdsa-p256-sha256")).publicKey.pem] };
    asked = [];
    expect(await code(load(other))).toBe("model-signing/signature");
    expect(asked).toEqual([]);
    expect(await during("model.sig", "", () => code(load()))).toBe("model-signing/malformed");
  });
});

describe("a model of ONNX", () => {
  const open = (options = {}) => openVerified(folder, join(folder, "model.sig"), trust, options);
  const answer = async (session: runtime.InferenceSession) => {
    const x = new runtime.Tensor("float32", new Float32Array(784), [1, 28, 28, 1]);
    const outputs = await session.run({ [session.inputNames[0]!]: x });
    session.release();
    return outputs[session.outputNames[0]!]!.dims.join();
  };

  it("loads from the bytes that were hashed, from a private copy, and through fetch", async () => {
    const model = await open();
    expect(await answer(await runtime.InferenceSession.create(await model.read("digits.onnx")))).toBe("1,10");
    const copy = await model.copy();
    try {
      // A change after the proof does not reach the copy.
      await during("digits.onnx", "changed", async () => {
        expect(await answer(await runtime.InferenceSession.create(join(copy.path, "digits.onnx")))).toBe("1,10");
      });
    } finally {
      await copy.remove();
    }
    const fetch = await verifyingFetch(signature(), trust, { base });
    const bytes = new Uint8Array(await (await fetch(`${base}digits.onnx`)).arrayBuffer());
    expect(await answer(await runtime.InferenceSession.create(bytes))).toBe("1,10");
  });

  it("is refused when it was changed, is missing, or has something unsigned beside it", async () => {
    const onnx = readFileSync(join(folder, "digits.onnx"));
    onnx[onnx.length >> 1]! ^= 1;
    await during("digits.onnx", onnx, async () => {
      const model = await open();
      expect(await code(model.read("digits.onnx"))).toBe("model-signing/changed");
      expect(await code(model.copy())).toBe("model-signing/changed");
      expect((await model.read("weights.bin")).length).toBe(32);
    });
    expect(await during("digits.onnx", undefined, () => code(open()))).toBe("model-signing/missing");
    put("digits.onnx.data", "external");
    expect(await code(open())).toBe("model-signing/unsigned");
    const model = await open({ ignoreUnsignedFiles: true });
    expect(await code(model.read("digits.onnx.data"))).toBe("model-signing/unsigned");
    rmSync(join(folder, "digits.onnx.data"));
  });
});

describe("an older release, as well signed as the newest", () => {
  it("is refused before any of its files is read, by what loads TensorFlow.js and what loads ONNX", async () => {
    const weights = new Uint8Array(32);
    const older = await during("weights.bin", weights, () =>
      signFolder(folder, { signer: pair.signer, ignorePaths: ["model.sig"] }),
    );
    const name = basename(folder);
    const { serve, update } = await releasesOf(pair, name, [older, signature()]);
    const load = () =>
      update(async ({ bundle }) => {
        await tf.loadLayersModel(await verifyingIOHandler(bundle, trust, { base }));
        put("model.sig", bundle);
        const model = await openVerified(folder, join(folder, "model.sig"), trust);
        const session = await runtime.InferenceSession.create(await model.read("digits.onnx"));
        await session.release();
        return { name };
      });
    serve(1);
    expect(await load()).toMatchObject({ switched: true, current: { version: "1.1.0" } });
    serve(0);
    asked = [];
    expect(await during("weights.bin", weights, () => code(load()))).toBe("model-signing/update-rollback");
    expect(asked).toEqual([]);
  });
});
