import { fromUtf8, toUtf8 } from "@parapet/attestation";
import {
  createRecorder,
  indexStreamDigest,
  type Journal,
  memoryJournal,
  type Recorder,
  readRun,
} from "@parapet/provenance";
import { describe, expect, it } from "vitest";

/** A journal whose program is killed after so many bytes of all that it wrote: the last write may be torn. */
function mortal(bytes: Uint8Array, life: number) {
  const inner = memoryJournal(bytes);
  let left = life;
  let acknowledged = bytes.length;
  const journal: Journal = {
    ...inner,
    async append(more) {
      if (more.length > left) {
        await inner.append(more.subarray(0, left));
        left = 0;
        throw new Error("killed");
      }
      left -= more.length;
      await inner.append(more);
      acknowledged = (await inner.read()).length;
    },
  };
  return { journal, inner, acknowledged: () => acknowledged };
}

let clock = 0;
const now = () => new Date(1_767_225_600_000 + 1000 * clock++);

/** What a training script does: the same again when it is started again. */
async function script(recorder: Recorder): Promise<void> {
  const data = await recorder.artefact({ kind: "dataset", name: "mnist", content: "digits", records: 60_000 });
  let model = await recorder.step({ kind: "load", name: "Base model" }, (step) =>
    step.make({ kind: "model", name: "base", content: "base" }, "weights"),
  );
  for (let epoch = 1; epoch <= 2; epoch++) {
    model = await recorder.step(
      { kind: "train", name: `Epoch ${epoch}`, parameters: { rate: 0.1 }, seeds: { shuffle: epoch } },
      (step) => {
        step.use(model, "weights");
        step.use(data, "training data", { count: 3, all: false, indices: indexStreamDigest([1, 2, epoch]) });
        step.measure({ loss: 1 / epoch });
        return step.make({ kind: "model", name: "digits", content: `weights ${epoch}` }, "weights");
      },
    );
  }
  const evaluate = (name: string) =>
    recorder.step({ kind: "evaluate", name, used: [{ artefact: model.id, role: "model" }] }, async (step) => {
      await Promise.resolve();
      step.make({ kind: "report", name: `${name}.json`, content: name }, "report");
    });
  await Promise.all([evaluate("Clean"), evaluate("Robust")]);
  await recorder.finish();
}
const record = async (journal: Journal) => {
  const recorder = await createRecorder(journal, { name: "digits", now });
  await script(recorder);
  return recorder.run();
};

describe("a run", () => {
  it("is recorded as a graph", async () => {
    const run = await record(memoryJournal());
    expect(run).toMatchObject({ name: "digits", status: "done" });
    expect(run.activities.map(({ id, status }) => `${id} ${status}`)).toEqual([
      ...["base-model done", "epoch-1 done", "epoch-2 done", "clean done", "robust done"],
    ]);
    expect(run.artefacts.map(({ name }) => name)).toEqual([
      ...["mnist", "base", "digits", "digits", "Clean.json", "Robust.json"],
    ]);
    const [, first, second] = run.activities;
    expect(second!.used[0]!.artefact).toBe(first!.made[0]!.artefact);
    expect(second!.metrics).toEqual({ loss: 0.5 });
    expect(readRun(JSON.stringify(run))).toEqual(run);
  });

  it("notes how a step failed or was stopped, and hands the error on", async () => {
    const recorder = await createRecorder(memoryJournal(), { name: "digits", secrets: ["hunter2hunter2"] });
    const fail = (error: Error) => () => Promise.reject(error);
    const failed = recorder.step(
      { kind: "train", name: "a" },
      fail(new TypeError("no hunter2hunter2 at http://u:p@h/")),
    );
    await expect(failed).rejects.toThrow("hunter2hunter2");
    const stopped = recorder.step({ kind: "train", name: "b" }, fail(new DOMException("stop", "AbortError")));
    await expect(stopped).rejects.toThrow("stop");
    expect(recorder.run().activities).toMatchObject([
      { status: "failed", error: "TypeError: no [hidden] at http://h/" },
      { status: "interrupted" },
    ]);
  });

  it("refuses what it was not given, and figures that are none", async () => {
    const recorder = await createRecorder(memoryJournal(), { name: "digits" });
    const other = { kind: "file", name: "x", id: `sha256:${"0".repeat(64)}` } as const;
    await expect(recorder.step({ kind: "train", name: "a" }, (step) => step.use(other, "data"))).rejects.toThrow(
      "artefact",
    );
    await expect(
      recorder.step({ kind: "train", name: "b" }, (step) => step.measure({ loss: Number.NaN })),
    ).rejects.toThrow('"metrics.loss" expected a finite number, got NaN');
    await expect(recorder.artefact({ ...other, id: "sha256:0" })).rejects.toThrow('"id" expected');
    await expect(createRecorder(memoryJournal(), { name: "" })).rejects.toThrow('"name" expected');
  });

  it("keeps secrets out of everything that is written", async () => {
    const journal = memoryJournal();
    const secret = "correct horse battery";
    const recorder = await createRecorder(journal, {
      name: "digits",
      secrets: [secret],
      code: { repository: `https://me:${secret}@example.com/x.git` },
    });
    await recorder.artefact({ kind: "dataset", name: "d", content: "", uri: "https://h/d?X-Amz-Signature=abcdef&a=1" });
    const parameters = {
      apiKey: "abc",
      maxTokens: 5,
      tokenizer: "bpe",
      list: [secret, "ghp_012345678901234567890123"],
    };
    await recorder.step({ kind: "load", name: secret, parameters }, () => undefined);
    const text = fromUtf8(await journal.read());
    for (const word of [secret, "abcdef", '"abc"', "ghp_"]) expect(text).not.toContain(word);
    expect(recorder.run().activities[0]!.parameters).toEqual({
      ...{ apiKey: "[hidden]", maxTokens: 5, tokenizer: "bpe", list: ["[hidden]", "[hidden]"] },
    });
    expect(recorder.run().code.repository).toBe("https://example.com/x.git");
  });
});

describe("a program that is killed", () => {
  it("at every boundary of a write, or in the middle of one, loses nothing and doubles nothing when it is started again", async () => {
    const inner = memoryJournal();
    const ends = [0];
    const whole: Journal = {
      ...inner,
      async append(bytes) {
        ends.push(ends.at(-1)! + bytes.length);
        await inner.append(bytes);
      },
    };
    const wanted = await record(whole);
    // Every boundary of a write, the bytes beside it, and some in the middle.
    const lives = new Set(ends.flatMap((end) => [end - 1, end, end + 1]));
    for (let life = 0; life < ends.at(-1)!; life += 31) lives.add(life);
    const outcome = (run: typeof wanted) => ({
      artefacts: run.artefacts.map(({ id }) => id),
      // Each step once as done, under the name of an attempt.
      done: run.activities.filter(({ status }) => status === "done").map(({ id }) => id.replace(/\.\d+$/, "")),
    });
    let interrupted = 0;
    for (const life of [...lives].filter((one) => one >= 0)) {
      const { journal, inner: kill, acknowledged } = mortal(new Uint8Array(), life);
      await record(journal).catch((error: Error) => expect(error.message).toBe("killed"));
      const kept = (await kill.read()).slice(0, acknowledged());
      const run = await record(kill);
      const after = await kill.read();
      expect(after.slice(0, kept.length)).toEqual(kept);
      expect(new Set(outcome(run).artefacts)).toEqual(new Set(outcome(wanted).artefacts));
      expect(outcome(run).artefacts).toHaveLength(wanted.artefacts.length);
      expect([...outcome(run).done].sort()).toEqual([...outcome(wanted).done].sort());
      interrupted += run.activities.filter(({ status }) => status === "interrupted").length;
      expect(run.activities.some(({ status }) => status === "running")).toBe(false);
      expect(run.status).toBe("done");
    }
    expect(interrupted).toBeGreaterThan(50);
  });

  it("can take what was done from where it was kept", async () => {
    const journal = memoryJournal();
    await record(journal);
    const again = await createRecorder(journal, { name: "digits" });
    expect(again.done("Epoch 1")).toMatchObject({ status: "done", seeds: { shuffle: 1 } });
    expect(again.done("Epoch 3")).toBeUndefined();
    await expect(createRecorder(journal, { name: "other" })).rejects.toThrow('"name" expected "digits"');
  });

  it("a step that comes out differently is another attempt", async () => {
    const journal = memoryJournal();
    const once = async (content: string) => {
      const recorder = await createRecorder(journal, { name: "digits" });
      await recorder.step({ kind: "train", name: "Train" }, (step) => {
        step.make({ kind: "model", name: "m", content }, "weights");
      });
      return recorder.run().activities.map(({ id, made }) => `${id} ${made.length}`);
    };
    expect(await once("a")).toEqual(["train 1"]);
    expect(await once("a")).toEqual(["train 1"]);
    expect(await once("b")).toEqual(["train 1", "train.2 1"]);
    expect(await once("b")).toEqual(["train 1", "train.2 1"]);
  });
});

describe("a journal", () => {
  it("shows every change of a byte, every line that is taken out, moved or put in", async () => {
    const journal = memoryJournal();
    await record(journal);
    const bytes = await journal.read();
    const open = async (changed: Uint8Array) => {
      try {
        return (await createRecorder(memoryJournal(changed), { name: "digits" })).run();
      } catch (error) {
        return (error as { code?: string }).code;
      }
    };
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at]! ^= 1 << (at % 8);
      // The end of the last line alone looks like that of a program that was killed.
      if (at === bytes.length - 1) continue;
      const got = await open(changed);
      const isLast = bytes.indexOf(0x0a, at) === bytes.length - 1;
      if (isLast && typeof got === "object") expect(got.status).toBe("running");
      else expect(got, `byte ${at}`).toMatch(/^provenance\/(changed|malformed)$/);
    }
    const lines = fromUtf8(bytes).split("\n").slice(0, -1);
    const join = (all: readonly string[]) => toUtf8(all.map((line) => `${line}\n`).join(""));
    for (let i = 0; i + 1 < lines.length; i++) {
      expect(await open(join(lines.filter((_, j) => j !== i)))).toMatch(/^provenance/);
      expect(await open(join([...lines.slice(0, i), lines[i + 1]!, lines[i]!, ...lines.slice(i + 2)]))).toMatch(
        /^provenance/,
      );
      expect(await open(join([...lines.slice(0, i + 1), lines[i]!, ...lines.slice(i + 1)]))).toMatch(/^provenance/);
    }
  });
});
