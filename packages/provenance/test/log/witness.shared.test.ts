import { toUtf8 } from "@parapet/attestation";
import { ed25519Verifier } from "@parapet/attestation/small";
import {
  compareCheckpoints,
  createWitness,
  type Log,
  memoryStorage,
  openLog,
  readNote,
  rememberCheckpoint,
  signCheckpoint,
  verifyCheckpoint,
  verifyLogProof,
} from "@parapet/provenance";
import { beforeAll, describe, expect, it } from "vitest";
import { codeOf, testSigner, verifierOf } from "../helpers/keys.ts";

const origin = "example.com/log";
const signer = testSigner(origin);
const key = testSigner("witness.example/1", 7, { type: "cosignature/v1", now: () => 1_700_000_000_999 });
let policy: { log: Awaited<ReturnType<typeof verifierOf>> };
let log: Log;
/** A log of the same key that tells another story from its third entry on. */
let fork: Log;
const notes: Record<string, string> = {};

async function grow(name: string, entries: readonly string[]): Promise<Log> {
  const made = await openLog(memoryStorage(), { signer, makeVerifier: ed25519Verifier });
  for (const entry of entries) {
    await made.append(toUtf8(entry));
    const { size, note } = await made.checkpoint();
    notes[`${name}${size}`] = note;
  }
  return made;
}

beforeAll(async () => {
  policy = { log: await verifierOf(signer) };
  log = await grow("a", ["one", "two", "three", "four", "five"]);
  fork = await grow("b", ["one", "two", "other", "four", "five"]);
});

const evidence = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => ({ code: "nothing", evidence: [] }),
    (error) => error,
  );
  return [error.code, error.evidence];
};

describe("a witness", () => {
  const create = () => createWitness({ signer: key, store: memoryStorage(), logs: [policy] });

  it("signs what continues, with the time, and everybody can check it offline", async () => {
    const witness = create();
    expect(await witness.size(origin)).toBe(0);
    for (const size of [1, 2, 5]) await witness.cosign(notes[`a${size}`]!, log.consistencyProof);
    expect(await witness.size(origin)).toBe(5);
    const note = await witness.cosign(notes.a5!, log.consistencyProof);
    const watched = { ...policy, witnesses: [await verifierOf(key)] };
    const proven = await verifyCheckpoint(note, watched);
    expect(proven.witnesses.map(({ time }) => time)).toEqual([1_700_000_000]);
    // Once more replaces its signature.
    expect(readNote(await witness.cosign(note, log.consistencyProof)).signatures.length).toBe(2);
    await log.publish(note);
    const proof = await log.proofFile(2);
    expect((await verifyLogProof(proof, toUtf8("three"), watched)).checkpoint.witnesses.length).toBe(1);
    expect(await codeOf(log.publish(notes.a4!))).toBe("provenance/changed");
    expect((await log.check()).note).toBe(note);
  });

  it("refuses another history, an older one, and a proof that does not hold", async () => {
    const witness = create();
    await witness.cosign(notes.a3!, log.consistencyProof);
    expect(await evidence(witness.cosign(notes.b3!, fork.consistencyProof))).toEqual([
      "provenance/split-view",
      [notes.a3, notes.b3],
    ]);
    expect(await evidence(witness.cosign(notes.b5!, fork.consistencyProof))).toEqual([
      "provenance/split-view",
      [notes.a3, notes.b5],
    ]);
    expect(await evidence(witness.cosign(notes.a2!, log.consistencyProof))).toEqual([
      "provenance/split-view",
      [notes.a3, notes.a2],
    ]);
    expect(await evidence(witness.cosign(notes.a5!, async () => []))).toEqual([
      "provenance/split-view",
      [notes.a3, notes.a5],
    ]);
    // Whoever does not answer is not accused.
    const silent = () => Promise.reject(Object.assign(new Error("no answer"), { code: "network" }));
    expect(await codeOf(witness.cosign(notes.a5!, silent))).toBe("network");
    expect(await witness.size(origin)).toBe(3);
    await witness.cosign(notes.a5!, log.consistencyProof);
  });

  it("signs for logs that it watches only", async () => {
    const witness = create();
    const stranger = testSigner("example.com/other", 3);
    const note = await signCheckpoint({ origin: stranger.name, size: 1, root: new Uint8Array(32) }, [stranger]);
    expect(await codeOf(witness.cosign(note, log.consistencyProof))).toBe("provenance/signature");
    const mixed = await signCheckpoint({ origin: "example.com/other", size: 1, root: new Uint8Array(32) }, [signer]);
    expect(await codeOf(witness.cosign(mixed, log.consistencyProof))).toBe("provenance/policy");
    expect(await witness.size("example.com/other")).toBe(0);
    expect(() => createWitness({ signer, store: memoryStorage(), logs: [policy] })).toThrow(TypeError);
  });

  it("never signs two histories, whoever asks at once", async () => {
    const witness = create();
    const asked = [notes.a3!, notes.b3!, notes.a4!, notes.b4!, notes.a5!, notes.b5!];
    const results = await Promise.allSettled(
      asked.map((note, i) => witness.cosign(note, (i % 2 === 0 ? log : fork).consistencyProof)),
    );
    expect(results.map(({ status }) => status === "fulfilled")).toEqual([true, false, true, false, true, false]);
  });
});

describe("comparing checkpoints", () => {
  it("accepts two of one history in any order", async () => {
    const both = await compareCheckpoints(notes.a5!, notes.a2!, policy, log.consistencyProof);
    expect(both.map(({ size }) => size)).toEqual([2, 5]);
    await compareCheckpoints(notes.a5!, notes.a5!, policy, log.consistencyProof);
    // Up to here the two logs say the same.
    await compareCheckpoints(notes.a2!, notes.b5!, policy, fork.consistencyProof);
  });

  it("carries both as evidence when they are of two", async () => {
    const proof = log.consistencyProof;
    expect(await evidence(compareCheckpoints(notes.a4!, notes.b4!, policy, proof))).toEqual([
      "provenance/split-view",
      [notes.a4, notes.b4],
    ]);
    expect(await evidence(compareCheckpoints(notes.a5!, notes.b4!, policy, proof))).toEqual([
      "provenance/split-view",
      [notes.b4, notes.a5],
    ]);
    const other = { log: await verifierOf(testSigner(origin, 9)) };
    expect(await codeOf(compareCheckpoints(notes.a4!, notes.b4!, other, proof))).toBe("provenance/signature");
  });
});

describe("a memory of the last checkpoint", () => {
  it("finds a fork and a whole log that was put back, which nothing finds without it", async () => {
    const memory = memoryStorage();
    for (const size of [1, 3, 4]) await rememberCheckpoint(memory, notes[`a${size}`]!, policy, log.consistencyProof);
    expect(await evidence(rememberCheckpoint(memory, notes.a3!, policy, log.consistencyProof))).toEqual([
      "provenance/split-view",
      [notes.a4, notes.a3],
    ]);
    expect(await evidence(rememberCheckpoint(memory, notes.b5!, policy, fork.consistencyProof))).toEqual([
      "provenance/split-view",
      [notes.a4, notes.b5],
    ]);
    expect(await evidence(rememberCheckpoint(memory, notes.b4!, policy, fork.consistencyProof))).toEqual([
      "provenance/split-view",
      [notes.a4, notes.b4],
    ]);
    expect((await rememberCheckpoint(memory, notes.a5!, policy, log.consistencyProof)).size).toBe(5);
    // The same, without a memory: the fork is a log like any other.
    expect((await fork.check()).size).toBe(5);
    expect((await rememberCheckpoint(memoryStorage(), notes.b5!, policy, fork.consistencyProof)).size).toBe(5);
  });

  it("says so when it is damaged itself", async () => {
    const objects = new Map<string, Uint8Array>();
    const memory = memoryStorage(objects);
    await rememberCheckpoint(memory, notes.a3!, policy, log.consistencyProof);
    const [name, data] = [...objects][0]!;
    objects.set(name, data.slice(0, 50));
    expect(await codeOf(rememberCheckpoint(memory, notes.a5!, policy, log.consistencyProof))).toBe(
      "provenance/changed",
    );
  });
});
