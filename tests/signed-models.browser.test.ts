/// <reference types="vite/client" />
import { generateKeyPair, type KeyPair } from "@parapet/attestation";
import { memorySource, signModel, verifyingFetch, verifyingIOHandler } from "@parapet/model-signing";
import * as tf from "@tensorflow/tfjs";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import * as runtime from "onnxruntime-web/wasm";
import { beforeAll, describe, expect, it } from "vitest";
import onnxUrl from "../bench/models/standard.onnx?url";
import { useBackend } from "./helpers/browser-backends.ts";
import { releasesOf } from "./helpers/releases.ts";

// In a page: TensorFlow.js and onnxruntime-web load what is signed and nothing else. The ONNX file comes from the server of
// the page, the model of TensorFlow.js from memory, as it is made here.
let pair: KeyPair;
let trust: { keys: string[] };
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => "loaded",
    (error: { code?: string }) => error.code ?? String(error),
  );

beforeAll(async () => {
  pair = await generateKeyPair("ecdsa-p256-sha256");
  trust = { keys: [pair.publicKey.pem] };
});

describe("a model of TensorFlow.js in a page", () => {
  const base = new URL("/models/", location.href).href;
  let files: Record<string, Uint8Array<ArrayBuffer>>;
  let bundle: string;
  beforeAll(async () => {
    await useBackend("cpu");
    files = {};
    const model = tf.sequential({
      layers: [tf.layers.dense({ inputShape: [3], units: 2, kernelInitializer: "ones" })],
    });
    await model.save(
      tf.io.withSaveHandler(async ({ weightData, weightSpecs, ...artifacts }) => {
        const manifest = { ...artifacts, weightsManifest: [{ paths: ["weights.bin"], weights: weightSpecs }] };
        files["model.json"] = new TextEncoder().encode(JSON.stringify(manifest));
        files["weights.bin"] = new Uint8Array(weightData as ArrayBuffer);
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
      }),
    );
    bundle = await signModel(memorySource("dense", files), pair.signer);
  });
  const load = async (change: Record<string, Uint8Array<ArrayBuffer>> = {}, whom = trust) => {
    const fetch = async (input: RequestInfo | URL) =>
      new Response({ ...files, ...change }[new URL(String(input)).pathname.slice("/models/".length)] ?? null);
    return tf.loadLayersModel(await verifyingIOHandler(bundle, whom, { base, fetch }));
  };

  it("loads, and answers", async () => {
    const model = await load();
    expect([...(model.predict(tf.tensor2d([[1, 2, 3]])) as tf.Tensor).dataSync()]).toEqual([6, 6]);
  });

  it("is refused when it was changed, when files swapped names, and by another signer", async () => {
    const weights = files["weights.bin"]!.slice();
    weights[5]! ^= 1;
    expect(await code(load({ "weights.bin": weights }))).toBe("model-signing/changed");
    expect(await code(load({ "weights.bin": files["model.json"]! }))).toBe("model-signing/changed");
    const other = { keys: [(await generateKeyPair("ecdsa-p256-sha256")).publicKey.pem] };
    expect(await code(load({}, other))).toBe("model-signing/signature");
  });

  it("is refused when the server goes back to an older release, before any of its files is asked for", async () => {
    const later = { ...files, "weights.bin": new Uint8Array(new Float32Array(8).fill(2).buffer) };
    const fresh = await signModel(memorySource("dense", later), pair.signer);
    const { serve, update } = await releasesOf(pair, "dense", [bundle, fresh]);
    let asked = 0;
    const answers: number[][] = [];
    const load = (all: Record<string, Uint8Array<ArrayBuffer>>) =>
      update(async ({ bundle: newest }) => {
        const fetch = async (input: RequestInfo | URL) => {
          asked++;
          return new Response(all[new URL(String(input)).pathname.slice("/models/".length)] ?? null);
        };
        const model = await tf.loadLayersModel(await verifyingIOHandler(newest, trust, { base, fetch }));
        answers.push([...(model.predict(tf.tensor2d([[1, 2, 3]])) as tf.Tensor).dataSync()]);
        return { name: "dense" };
      });
    serve(1);
    expect(await load(later)).toMatchObject({ switched: true, current: { version: "1.1.0" } });
    expect(answers).toEqual([[14, 14]]);
    serve(0);
    asked = 0;
    expect(await code(load(files))).toBe("model-signing/update-rollback");
    expect(asked).toBe(0);
  });
});

describe("a model of ONNX in a page", () => {
  it("is fetched from the server, proven, and runs; a changed one is refused, an unsigned one not asked for", async () => {
    runtime.env.wasm.numThreads = 1;
    runtime.env.wasm.wasmPaths = { wasm };
    const address = new URL(onnxUrl, location.href);
    const name = address.pathname.slice(address.pathname.lastIndexOf("/") + 1);
    const original = new Uint8Array(await (await fetch(address)).arrayBuffer());
    const bundle = await signModel(memorySource("digits", { [name]: original }), pair.signer);
    const base = new URL(".", address);
    const verified = await verifyingFetch(bundle, trust, { base });
    const bytes = new Uint8Array(await (await verified(address)).arrayBuffer());
    expect(bytes.length).toBe(original.length);
    const session = await runtime.InferenceSession.create(bytes);
    const x = new runtime.Tensor("float32", new Float32Array(784), [1, 28, 28, 1]);
    const answer = await session.run({ [session.inputNames[0]!]: x });
    expect(answer[session.outputNames[0]!]!.dims).toEqual([1, 10]);

    const changing: typeof fetch = async (input, init) => {
      const body = new Uint8Array(await (await fetch(input, init)).arrayBuffer());
      body[body.length >> 1]! ^= 1;
      return new Response(body);
    };
    const changed = await verifyingFetch(bundle, trust, { base, fetch: changing });
    expect(await code(changed(address))).toBe("model-signing/changed");
    expect(await code(verified(new URL("other.onnx", base)))).toBe("model-signing/unsigned");

    // An older release of it, as well signed, is refused by a client that has seen the newer one.
    const older = await signModel(memorySource("digits", { [name]: original.slice(0, 10) }), pair.signer);
    const { serve, update } = await releasesOf(pair, "digits", [older, bundle]);
    let asked = 0;
    const run = () =>
      update(async ({ bundle: newest }) => {
        asked++;
        const proven = await verifyingFetch(newest, trust, { base });
        const body = new Uint8Array(await (await proven(address)).arrayBuffer());
        await runtime.InferenceSession.create(body);
        return { name: "digits" };
      });
    serve(1);
    expect(await run()).toMatchObject({ switched: true });
    serve(0);
    expect(await code(run())).toBe("model-signing/update-rollback");
    expect(asked).toBe(1);
  });
});
