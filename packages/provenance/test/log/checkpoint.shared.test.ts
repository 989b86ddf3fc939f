import {
  readCheckpoint,
  readNote,
  signCheckpoint,
  signNote,
  verifyCheckpoint,
  writeCheckpoint,
} from "@parapet/provenance";
import { describe, expect, it } from "vitest";
import { codeOf, testSigner, verifierOf } from "../helpers/keys.ts";

const origin = "example.com/log";
const log = testSigner(origin);
const checkpoint = { origin, size: 7, root: new Uint8Array(32).fill(5) };
const witnesses = [10, 11, 12].map((seed) =>
  testSigner(`witness.example/${seed}`, seed, { type: "cosignature/v1", now: () => seed * 1000 }),
);

describe("checkpoints", () => {
  it("reads the specification's example", () => {
    const text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    const read = readCheckpoint(text);
    expect([read.origin, read.size, read.root.length]).toEqual(["example.com/behind-the-sofa", 20852163, 32]);
    expect(writeCheckpoint(read)).toBe(text);
    const more = { ...read, extensions: ["one", "two three"] };
    expect(readCheckpoint(writeCheckpoint(more))).toEqual(more);
  });

  it.each([
    "",
    "a\n1\n",
    "a\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
    "a\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
    "a\n1.5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
    "a\n1e3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
    "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
    "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n",
    "a\n1\nAAAA\n",
    "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
    "a\r\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
  ])("refuses the form of %j", async (text) => {
    expect(await codeOf((async () => readCheckpoint(text))())).toBe("provenance/malformed");
  });

  it("refuses sizes that no number here can hold", async () => {
    const text = "a\n9007199254740992\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    expect(await codeOf((async () => readCheckpoint(text))())).toBe("provenance/unsupported");
    expect(() => writeCheckpoint({ ...checkpoint, size: 2 ** 53 })).toThrow(RangeError);
    expect(() => writeCheckpoint({ ...checkpoint, origin: "a\nb" })).toThrow(TypeError);
    expect(() => writeCheckpoint({ ...checkpoint, root: new Uint8Array(31) })).toThrow(TypeError);
  });

  it("asks for m of n witnesses", async () => {
    const note = await signCheckpoint(checkpoint, [log, ...witnesses.slice(0, 2)]);
    const known = await Promise.all(witnesses.map(verifierOf));
    const policy = { log: await verifierOf(log), witnesses: known };
    const proven = await verifyCheckpoint(note, { ...policy, quorum: 2 });
    expect(proven.witnesses.map(({ key, time }) => [key.name, time])).toEqual([
      ["witness.example/10", 10],
      ["witness.example/11", 11],
    ]);
    expect(await codeOf(verifyCheckpoint(note, { ...policy, quorum: 3 }))).toBe("provenance/policy");
    expect(await codeOf(verifyCheckpoint(note, policy))).toBe("provenance/policy");
    expect(await codeOf(verifyCheckpoint(note, { ...policy, quorum: 4 }))).toBe("RangeError");
    const twice = [known[0]!, known[0]!];
    expect(await codeOf(verifyCheckpoint(note, { ...policy, witnesses: twice }))).toBe("TypeError");
    const renamed = await verifierOf(testSigner("other.example", 10, { type: "cosignature/v1" }));
    expect(await codeOf(verifyCheckpoint(note, { ...policy, witnesses: [known[0]!, renamed] }))).toBe("TypeError");
  });

  it("asks for the log's own signature, and for its origin", async () => {
    const known = await Promise.all(witnesses.map(verifierOf));
    const policy = { log: await verifierOf(log), witnesses: known };
    const onlySeen = await signNote(writeCheckpoint(checkpoint), witnesses);
    expect(await codeOf(verifyCheckpoint(onlySeen, policy))).toBe("provenance/signature");
    const note = await signCheckpoint(checkpoint, [log]);
    const just = { log: policy.log };
    expect((await verifyCheckpoint(note, just)).note).toBe(note);
    expect(await codeOf(verifyCheckpoint(note, { ...just, origin: "example.com/other" }))).toBe("provenance/policy");
    expect(await codeOf(verifyCheckpoint(note.replace("\n7\n", "\n8\n"), just))).toBe("provenance/signature");
    const next = testSigner(origin, 9);
    const either = { log: [await verifierOf(next), policy.log] };
    expect((await verifyCheckpoint(note, either)).by.length).toBe(1);
    expect(readNote(note).signatures.length).toBe(1);
  });
});
