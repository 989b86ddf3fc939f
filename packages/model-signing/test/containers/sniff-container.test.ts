import { gunzipSync } from "node:zlib";
import { concatBytes, fromBase64, toUtf8 } from "@parapet/attestation";
import { createRng, ParapetError } from "@parapet/core";
import { type ContainerKind, refusePickle, sniffContainer } from "@parapet/model-signing/containers";
import { describe, expect, it } from "vitest";
import vectors from "../vectors/containers/containers.json" with { type: "json" };
import safetensors from "../vectors/safetensors/safetensors.json" with { type: "json" };

const unpack = (text: string) => Uint8Array.from(gunzipSync(Buffer.from(text, "base64")));
const files = new Map(vectors.files.map(({ name, file }) => [name, unpack(file)]));

/** What is data and nothing else. */
const harmless: Record<string, ContainerKind> = {
  "array.npy": "numpy",
  "record.npy": "numpy",
  "complex.npy": "numpy",
  "time.npy": "numpy",
  "text.npy": "numpy",
  "arrays.npz": "numpy",
  "arrays-packed.npz": "numpy",
  "data.zip": "zip",
  "empty.zip": "zip",
  "plain.keras": "keras",
  "plain.h5": "hdf5",
  "weights.weights.h5": "hdf5",
};
/** What is in the others, as the error says it. */
const found: Record<string, RegExp> = {
  "torch.pt": /"torch\/data.pkl", a pickle that imports "torch._utils _rebuild_tensor_v2"/,
  "torch-legacy.pt": /a pickle that imports "torch._utils _rebuild_tensor_v2"/,
  "torch-attack.bin": /imports "posix system"/,
  "torchscript.pt": /a program of TorchScript/,
  "lambda.keras": /a Lambda of Keras/,
  "lambda.h5": /a Lambda of Keras/,
  "module.keras": /the module "subprocess"/,
  "pickle.zip": /"b\/c.bin", a pickle that imports "posix system"/,
  "behind-something.bin": /imports "posix system"/,
  "array.joblib": /imports "joblib.numpy_pickle NumpyArrayWrapper"/,
  "array-zlib.joblib": /imports "joblib.numpy_pickle NumpyArrayWrapper"/,
  "array-bz2.joblib": /something packed/,
  "objects.npz": /"b.npy", an array of NumPy that holds Python's objects/,
};

describe("files of the libraries that write them", () => {
  it.each([...files.keys()])("%s", async (name) => {
    const bytes = files.get(name)!;
    const kind = harmless[name];
    if (kind !== undefined) {
      expect(await refusePickle(bytes, { name })).toEqual({ kind, runs: [] });
      return;
    }
    const error = await refusePickle(bytes, { name }).then(
      () => undefined,
      (cause: ParapetError) => cause,
    );
    expect(error?.code).toBe("model-signing/container-runs-code");
    expect(error!.message).toContain(`"${name}" expected weights and nothing else, got `);
    if (found[name] !== undefined) expect(error!.message).toMatch(found[name]!);
    if (/^attack-\d/.test(name)) expect(error!.message).toContain('imports "posix system"');
    // Under another name it is no better; but for pickles of old protocols that do nothing, which look like any text.
    const { runs } = await sniffContainer(bytes, { name: "weights.bin" });
    expect(runs.length > 0).toBe(!/^plain-[01]/.test(name));
  });

  it("what a pickle does is found behind five megabytes of text", async () => {
    for (const name of ["attack-far-2.pkl.gz", "attack-far-4.pkl.gz"]) {
      const { runs } = await sniffContainer(Uint8Array.from(gunzipSync(files.get(name)!)));
      expect(runs).toEqual(['a pickle that imports "posix system"']);
    }
  });

  it("files of weights are known, and not taken for programs", async () => {
    for (const { file, verdict } of safetensors.cases.slice(0, 60)) {
      if (typeof verdict !== "string") expect((await refusePickle(fromBase64(file))).kind).toBe("safetensors");
    }
    for (const { file } of vectors.onnx) expect((await refusePickle(unpack(file))).kind).toBe("onnx");
    expect((await refusePickle(concatBytes(toUtf8("GGUF"), Uint8Array.of(3, 0, 0, 0), new Uint8Array(16)))).kind).toBe(
      "gguf",
    );
    expect((await refusePickle(toUtf8(' {"a": 1}'))).kind).toBe("json");
    for (const text of ["", ".", "cat\ndog\nbird\n", "# A model\nIt is good.\n", "the\nof\nand\n", "I am\n"]) {
      expect((await refusePickle(toUtf8(text), { name: "README.md" })).kind).toBe("unknown");
    }
  });

  it("weights without a header are hardly ever taken for something else", async () => {
    const rng = createRng(3);
    let refused = 0;
    const runs = 5000;
    for (let i = 0; i < runs; i++) {
      const floats = Float32Array.from({ length: 200 }, () => rng.next() - 0.5);
      const bytes = i % 2 === 0 ? new Uint8Array(floats.buffer) : Uint8Array.from(floats, () => rng.next() * 256);
      refused += (await sniffContainer(bytes)).runs.length;
    }
    expect(refused).toBeLessThan(3);
  });
});

describe("what hides", () => {
  it("a pickle that breaks off after it did something", async () => {
    for (const text of ["cos\nsystem\n(S'x'\ntR\xff", "\x80\x02cos\nsystem\n\xff", "(S'x'\nios\nsystem\n\x00"]) {
      const { kind } = await sniffContainer(Uint8Array.from(text, (c) => c.charCodeAt(0)));
      expect(kind).toBe("pickle");
    }
  });

  it("names that come out of the memo, and imports that cannot be named", async () => {
    // Both texts are kept, dropped and fetched again.
    const memo = "\x80\x04\x8c\x05posix\x94\x8c\x06system\x9400h\x00h\x01\x93\x8c\x01x\x85R.";
    expect((await sniffContainer(Uint8Array.from(memo, (c) => c.charCodeAt(0)))).runs).toEqual([
      'a pickle that imports "posix system"',
    ]);
  });

  it("a header of safetensors that is a pickle as well", async () => {
    const pickle = "\x80\x02G\0\0\0\0\0{\"acos\nsystem\n(S'x'\ntR.";
    const { kind } = await sniffContainer(Uint8Array.from(pickle, (c) => c.charCodeAt(0)));
    expect(kind).toBe("pickle");
  });

  it("a name of Keras that is written in escapes, or lies over the end of what is read at once", async () => {
    const lambda = files.get("lambda.h5")!;
    const text = Buffer.from(lambda).toString("latin1");
    const hide = (to: string) => Uint8Array.from(Buffer.from(text.replaceAll(/"(Lambda|__lambda__)"/g, to), "latin1"));
    expect((await sniffContainer(hide('"L\\u0061mbda"'))).runs.join()).toContain("hidden by escapes");
    expect((await sniffContainer(hide('"Dense"'))).runs).toEqual([]);
    const at = text.indexOf('"Lambda"');
    const moved = concatBytes(lambda.subarray(0, 600), new Uint8Array((1 << 20) - at + 592), lambda.subarray(600));
    expect((await sniffContainer(moved)).runs.join()).toContain("Lambda");
    // HDF5 may begin at 512, 1024, ...
    expect((await sniffContainer(concatBytes(new Uint8Array(2048), lambda))).kind).toBe("hdf5");
  });

  it("an archive in which two readers see two lists", async () => {
    const zip = files.get("data.zip")!;
    const moved = concatBytes(zip.subarray(0, 4), new Uint8Array(10), zip.subarray(4));
    await expect(sniffContainer(moved)).rejects.toMatchObject({ code: "model-signing/container-malformed" });
    const cut = zip.subarray(0, -30);
    expect((await sniffContainer(cut)).runs.length).toBe(1);
  });

  it("gets a typed error or is called something, however it was changed", async () => {
    const rng = createRng(9);
    const pick = (below: number) => Math.floor(rng.next() * below);
    const seeds = [...files.values()].filter(({ length }) => length < 20_000);
    const others: unknown[] = [];
    for (let i = 0; i < Number(process.env.PARAPET_FUZZ ?? 2000); i++) {
      const bytes = seeds[i % seeds.length]!.slice();
      for (let edits = pick(5) + 1; edits > 0; edits--) {
        const near = pick(2) === 0 ? bytes.length - 1 - pick(Math.min(100, bytes.length)) : pick(bytes.length);
        bytes[near] = pick(4) === 0 ? 255 : pick(256);
      }
      const file = pick(4) === 0 ? bytes.subarray(0, pick(bytes.length)) : bytes;
      try {
        await sniffContainer(file);
      } catch (error) {
        if (!(error instanceof ParapetError)) others.push(error);
      }
    }
    expect(others).toEqual([]);
  }, 600_000);
});
