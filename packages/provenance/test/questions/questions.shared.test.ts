import { generateKeyPair, type KeyPair, sha256, signEvidence, toHex, toUtf8 } from "@parapet/attestation";
import {
  type Artefact,
  createDataset,
  createRecorder,
  type Dataset,
  diff,
  impact,
  indexStreamDigest,
  lineage,
  memoryJournal,
  type ProvenancePolicy,
  type Run,
  readClaims,
  readProvenancePolicy,
  signManifest,
  signRun,
  subset,
  verificationSummary,
  verify,
  writeClaims,
} from "@parapet/provenance";
import { beforeAll, describe, expect, it } from "vitest";

// Two runs: a base model is made in the first, and made into another one in the second, which trains on a part of the data.
let pair: KeyPair;
let all: Dataset;
let part: Dataset;
let base: Artefact;
let tuned: Artefact;
let student: Artefact;
let data: Artefact;
let seen: Artefact;
let runs: readonly [Run, Run];
const order = [1, 1, 0];

beforeAll(async () => {
  pair = await generateKeyPair("ecdsa-p256-sha256");
  all = await createDataset([{ digit: 0 }, { digit: 1 }, { digit: 2 }, { digit: 3 }], {
    name: "digits",
    licence: "MIT",
  });
  part = await subset(all, [1, 3, 2], { name: "some digits", licence: "MIT" });
  const first = await createRecorder(memoryJournal(), { name: "base" });
  const text = await first.artefact({ kind: "dataset", name: "text", content: "text", licence: "CC-BY-4.0" });
  base = await first.step({ kind: "train", name: "Train" }, (step) => {
    step.use(text, "training data", { count: 10, all: true });
    return step.make({ kind: "model", name: "base", content: "base" }, "weights");
  });
  const second = await createRecorder(memoryJournal(), { name: "tuned" });
  data = await second.artefact({ manifest: all.manifest, uri: "https://example.com/digits" });
  const model = await second.artefact(base);
  seen = await second.step({ kind: "filter", name: "Filter" }, (step) => {
    step.use(data, "data", { count: 3, all: false, indices: indexStreamDigest([1, 3, 2]) });
    return step.make({ manifest: part.manifest }, "data");
  });
  tuned = await second.step({ kind: "train", name: "Tune" }, (step) => {
    step.use(model, "weights");
    step.use(seen, "training data", { count: 3, all: false, indices: indexStreamDigest(order) });
    return step.make({ kind: "model", name: "tuned", content: "tuned" }, "weights");
  });
  student = await second.step({ kind: "distil", name: "Distil" }, (step) => {
    step.use(tuned, "teacher");
    return step.make({ kind: "model", name: "student", content: "student" }, "weights");
  });
  await second.step({ kind: "evaluate", name: "Evaluate" }, (step) => {
    step.use(student, "model");
    step.use(data, "test data", { count: 4, all: true });
    step.make({ kind: "report", name: "report.json", content: "{}" }, "report");
  });
  runs = [await first.finish(), await second.finish()];
});

describe("lineage", () => {
  it("goes back over runs, to all that no step made", () => {
    const { steps, sources, artefacts } = lineage(runs, student.id);
    expect(steps.map(({ activity }) => activity.name)).toEqual(["Train", "Filter", "Tune", "Distil"]);
    expect(sources.map(({ name }) => name).sort()).toEqual(["digits", "text"]);
    expect(artefacts.map(({ name }) => name).sort()).toEqual([
      "base",
      "digits",
      "some digits",
      "student",
      "text",
      "tuned",
    ]);
    expect(
      lineage(runs[1], tuned.id)
        .sources.map(({ name }) => name)
        .sort(),
    ).toEqual(["base", "digits"]);
    expect(lineage(runs, data.id)).toMatchObject({ steps: [], sources: [{ name: "digits" }] });
    expect(() => lineage(runs, `sha256:${"0".repeat(64)}`)).toThrow('"artefact" expected');
  });
});

it("what a step made of nothing is a source, the model itself too: no policy on sources is passed by saying nothing", async () => {
  const recorder = await createRecorder(memoryJournal(), { name: "silent" });
  const loaded = await recorder.step({ kind: "load", name: "Load" }, (step) =>
    step.make({ kind: "dataset", name: "loaded", content: "loaded" }, "data"),
  );
  const model = await recorder.step({ kind: "train", name: "Train" }, (step) => {
    step.use(loaded, "training data");
    return step.make({ kind: "model", name: "model", content: "a" }, "weights");
  });
  const silent = await recorder.step({ kind: "train", name: "Train silently" }, (step) =>
    step.make({ kind: "model", name: "silent", content: "b" }, "weights"),
  );
  const run = await recorder.finish();
  expect(lineage(run, model.id).sources.map(({ name }) => name)).toEqual(["loaded"]);
  expect(lineage(run, silent.id).sources.map(({ name }) => name)).toEqual(["silent"]);
  const policy: ProvenancePolicy = {
    version: 1,
    lineage: { keys: [pair.publicKey.pem] },
    sources: [{ kinds: ["code"] }],
  };
  const claims = writeClaims([await signRun(run, [pair.signer])]);
  for (const id of [model.id, silent.id])
    await expect(verify(id, policy, claims)).rejects.toMatchObject({ code: "provenance/policy" });
});

describe("impact", () => {
  const names = (found: ReturnType<typeof impact>) =>
    found.map(({ artefact, certainty }) => `${artefact.name} ${certainty}`);
  const record = (index: number, more: object = {}) => ({
    commitment: toHex(all.commitments.slice(32 * index, 32 * index + 32)),
    datasets: new Map<string, { commitments: Uint8Array }>([
      [data.id, all],
      [seen.id, part],
      // The text holds other records.
      [runs[0].artefacts[0]!.id, { commitments: new Uint8Array(32) }],
    ]),
    ...more,
  });

  it("of a dataset or a model reaches all that was made from it", () => {
    expect(names(impact(runs, data.id))).toEqual(["some digits seen", "tuned seen", "student seen"]);
    expect(names(impact(runs, base.id))).toEqual(["tuned seen", "student seen"]);
    expect(names(impact(runs, student.id))).toEqual([]);
  });

  it("of a record reaches the models that saw it, and those made from them, and no others", () => {
    const indices = [order];
    // Of the part [1, 3, 2] the second and the first were seen: the records 3 and 1.
    expect(names(impact(runs, record(1, { indices })))).toEqual(["tuned seen", "student seen"]);
    expect(names(impact(runs, record(3, { indices })))).toEqual(["tuned seen", "student seen"]);
    expect(names(impact(runs, record(2, { indices })))).toEqual([]);
    expect(names(impact(runs, record(0, { indices })))).toEqual([]);
  });

  it("is possible where nobody kept which records were seen, or what a dataset holds", () => {
    expect(names(impact(runs, record(2)))).toEqual(["tuned possible", "student possible"]);
    expect(names(impact(runs, record(0)))).toEqual([]);
    const datasets = new Map([[data.id, all]]);
    const indices = [order];
    // The text of the base model may hold the record, too: nobody says what it holds.
    expect(names(impact(runs, record(0, { datasets, indices })))).toEqual([
      "base possible",
      "tuned possible",
      "student possible",
    ]);
    expect(() => impact(runs, { commitment: "abc", datasets })).toThrow('"commitment" expected');
  });
});

describe("diff", () => {
  it("finds nothing between runs that did the same, and names causes before effects", async () => {
    const train = async (rate: number, content: string) => {
      const recorder = await createRecorder(memoryJournal(), { name: "digits" });
      const source = await recorder.artefact({ kind: "dataset", name: "d", content });
      const model = await recorder.step({ kind: "train", name: "Train", parameters: { rate } }, (step) => {
        step.use(source, "training data");
        step.measure({ loss: rate + content.length });
        return step.make({ kind: "model", name: "m", content: `${rate} ${content}` }, "weights");
      });
      await recorder.step({ kind: "evaluate", name: "Evaluate" }, (step) => step.use(model, "model"));
      return recorder.finish();
    };
    expect(diff(await train(1, "a"), await train(1, "a"))).toEqual([]);
    const told = (found: ReturnType<typeof diff>) => found.map(({ role, where, what }) => `${role} ${where} ${what}`);
    expect(told(diff(await train(1, "a"), await train(2, "a")))).toEqual([
      ...[
        "cause train parameters.rate",
        "effect train metrics.loss",
        "effect train made: weights",
        "effect evaluate used: model",
      ],
    ]);
    expect(told(diff(await train(1, "a"), await train(1, "b")))).toEqual([
      ...["cause train used: training data", "effect train made: weights", "effect evaluate used: model"],
    ]);
    const [step] = diff(runs[0], runs[1]);
    expect(step).toMatchObject({ where: "train", what: "step", first: 'train "Train"', second: undefined });
  });
});

describe("verify", () => {
  const policy = (more: object = {}): ProvenancePolicy => ({
    version: 1,
    lineage: { keys: [pair.publicKey.pem] },
    ...more,
  });
  const claims = async (signer = pair.signer) => {
    const evidence = { schema: "urn:example:robustness:v1", rate: 0.9, created: "2026-01-01T00:00:00Z" };
    return writeClaims([
      ...(await Promise.all(runs.map((run) => signRun(run, [signer])))),
      await signManifest(all.manifest, [signer]),
      await signEvidence(evidence, [{ digest: { sha256: student.id.slice(7) } }], [signer]),
    ]);
  };
  const why = async (more: object, text?: string, id = student.id) => {
    try {
      await verify(id, policy(more), text ?? (await claims()), { now: new Date("2026-01-02T00:00:00Z") });
      return "proven";
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      return `${code}: ${message}`;
    }
  };

  it("proves history, sources, steps and evidence", async () => {
    const proven = await verify(student.id, policy(), await claims());
    expect(proven.by[0]!.fingerprint).toBe(pair.publicKey.fingerprint);
    expect(proven.sources.map(({ name }) => name).sort()).toEqual(["digits", "text"]);
    expect(await why({ steps: ["train", "distil", "evaluate"] })).toBe("proven");
    expect(
      await why({ sources: [{ licences: ["MIT"], addresses: ["https://example.com/"] }, { licences: ["CC-BY-4.0"] }] }),
    ).toBe("proven");
    expect(await why({ sources: [{ ids: lineage(runs, student.id).sources.map(({ id }) => id) }] })).toBe("proven");
    const demand = { predicateType: "urn:example:robustness:v1", keys: [pair.publicKey.pem] };
    expect(await why({ evidence: [{ ...demand, where: [{ path: ["rate"], min: 0.9 }] }] })).toBe("proven");
    expect(await why({ evidence: [{ ...demand, where: [{ path: ["created"], maxAge: 86_400 }] }] })).toBe("proven");
    expect(await why({ evidence: [{ ...demand, where: [{ path: ["created"], maxAge: 86_399 }] }] })).toMatch(
      "provenance/policy",
    );
    expect(await why({ evidence: [{ ...demand, where: [{ path: ["rate"], min: 0.91 }] }] })).toMatch(
      "rate is not >= 0.91",
    );
  });

  it("is summed up for those who trust who verified", async () => {
    const text = await claims();
    const proven = await verify(student.id, policy(), text);
    const about = {
      verifier: "https://example.com/gate",
      policyUri: "https://example.com/p.json",
      policy: policy(),
      claims: text,
    };
    const summary = verificationSummary(proven, { ...about, now: new Date("2026-01-02T03:04:05Z") });
    expect(summary).toMatchObject({
      predicateType: "https://slsa.dev/verification_summary/v1",
      subject: [{ name: "student", digest: { sha256: student.id.slice(7) } }],
      predicate: { verificationResult: "PASSED", timeVerified: "2026-01-02T03:04:05.000Z", verifiedLevels: [] },
    });
    const { inputAttestations } = summary.predicate as { inputAttestations: { digest: { sha256: string } }[] };
    expect(inputAttestations[0]!.digest.sha256).toBe(toHex(await sha256(toUtf8(text))));
    expect(() => verificationSummary(proven, { ...about, verifier: "me" })).toThrow('"verifier" expected a URI');
  });

  it("refuses what is not proven or not allowed", async () => {
    expect(await why({}, "")).toMatch("provenance/policy: the policy expected a signed run that made");
    const stranger = await generateKeyPair("ecdsa-p256-sha256");
    expect(await why({}, await claims(stranger.signer))).toMatch("expected a signed run");
    expect(await why({ revoked: [pair.publicKey.fingerprint] })).toMatch("expected a signed run");
    expect(await why({ lineage: { keys: [pair.publicKey.pem, stranger.publicKey.pem], threshold: 2 } })).toMatch(
      "expected a signed run",
    );
    // A run about the model that did not make it: its word does not count for it.
    expect(await why({}, await claims(), data.id)).toMatch("expected a signed run");
    expect(await why({ forbidden: [data.id] })).toMatch('not to be made from "digits"');
    expect(await why({ sources: [{ licences: ["MIT"] }] })).toMatch('got dataset "text"');
    expect(await why({ sources: [{ kinds: ["model"] }] })).toMatch("expected sources that it allows");
    expect(await why({ steps: ["harden"] })).toMatch('a step of the kind "harden", got none');
  });

  it("follows a base model into its own run only where that is signed, too", async () => {
    const second = writeClaims([await signRun(runs[1], [pair.signer])]);
    const proven = await verify(student.id, policy(), second);
    expect(proven.sources.map(({ name }) => name).sort()).toEqual(["base", "digits"]);
    expect(await why({ forbidden: [base.id] }, second)).toMatch("base");
  });

  it("does not take a failed step for a making, nor a run whose statement is about something else", async () => {
    const recorder = await createRecorder(memoryJournal(), { name: "failed" });
    const failing = recorder.step({ kind: "train", name: "Train" }, (step) => {
      step.make({ kind: "model", name: "m", content: "failed" }, "weights");
      throw new Error("out of memory");
    });
    await expect(failing).rejects.toThrow();
    const run = await recorder.finish("failed");
    const { id } = run.artefacts[0]!;
    expect(await why({}, writeClaims([await signRun(run, [pair.signer], [id])]), id)).toMatch("expected a signed run");
    const other = writeClaims([await signRun(runs[1], [pair.signer], [data.id])]);
    expect(await why({}, other)).toMatch("expected a signed run");
  });

  it("passes over what is damaged", async () => {
    const text = await claims();
    expect(await why({}, `nonsense\n{}\n${text}[]\n`)).toBe("proven");
    expect(readClaims(text)).toHaveLength(4);
    expect(() => readClaims("{}\n".repeat(1001))).toThrow(expect.objectContaining({ code: "provenance/too-large" }));
  });

  it("says that nobody's word counts, where a policy names no key", () => {
    expect(() => readProvenancePolicy('{"version": 1, "lineage": {"keys": []}}')).toThrow(
      "expected at least one key, got none",
    );
  });

  it("reads policies strictly", () => {
    const good = policy({
      sources: [{ kinds: ["dataset"] }],
      forbidden: [data.id],
      steps: ["train"],
      evidence: [],
      revoked: [],
    });
    expect(readProvenancePolicy(JSON.stringify(good))).toEqual(good);
    for (const bad of [
      { version: 2 },
      { lineage: { keys: [], threshold: 1 } },
      { lineage: { keys: [pair.publicKey.pem], threshold: 2 } },
      { sources: [{}] },
      { sources: [{ license: ["MIT"] }] },
      { forbidden: ["digits"] },
      { evidence: [{ predicateType: "u", keys: [] }] },
      { more: 1 },
    ])
      expect(() => readProvenancePolicy(JSON.stringify({ ...good, ...bad })), JSON.stringify(bad)).toThrow(
        expect.objectContaining({ code: "provenance/malformed" }),
      );
  });
});
