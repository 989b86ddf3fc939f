import { fromBase64, parseJson, parseStatement, readEnvelope, sha256, toUtf8 } from "@parapet/attestation";
import { ndArray } from "@parapet/core";
import {
  type DatasetManifest,
  impact,
  lineage,
  type MembershipProof,
  noteVerifier,
  type ProvenancePolicy,
  readRun,
  verify,
  verifyLogProof,
  verifyMembership,
} from "@parapet/provenance";
import { describe, expect, it } from "vitest";
import demo from "./vectors/provenance/demo.json" with { type: "json" };

// What the demo wrote, verified in Node and in a page: MNIST with its 70,000 record digests, training, hardening, evaluation, export.
const claims = demo.claims.map((line) => `${line}\n`).join("");
const policy = demo.policy as unknown as ProvenancePolicy;
const predicate = (line: number) => parseStatement(readEnvelope(parseJson(demo.claims[line]!)).payload).predicate;
const manifest = predicate(1) as unknown as DatasetManifest;
const run = readRun(JSON.stringify(predicate(0)));
const why = (promise: Promise<unknown>) =>
  promise.then(
    () => "proven",
    (error: { code?: string }) => error.code ?? String(error),
  );

describe("the demo's record", () => {
  it("proves where the hardened model came from", async () => {
    const { sources, steps } = await verify(demo.model, policy, claims);
    expect(sources.map(({ name, records }) => [name, records])).toEqual([["MNIST", 70_000]]);
    expect(steps.map(({ activity }) => activity.kind)).toEqual(["load", "split", "harden", "export"]);
    expect(lineage(run, demo.model).sources).toEqual(sources);
  });

  it("refuses other data, another signer, a changed claim", async () => {
    const other = { ...policy, sources: [{ ids: [`sha256:${"0".repeat(64)}`] }] };
    expect(await why(verify(demo.model, other, claims))).toBe("provenance/policy");
    const changed = claims.replace(/"sig":"(.)/, (_, letter: string) => `"sig":"${letter === "M" ? "N" : "M"}`);
    expect(changed).not.toBe(claims);
    expect(await why(verify(demo.model, policy, changed))).toBe("provenance/policy");
    expect(await why(verify(demo.model, { ...policy, steps: ["distil"] }, claims))).toBe("provenance/policy");
  });

  it("is in the log, by a proof that needs no log", async () => {
    const entry = await sha256(toUtf8(demo.claims[0]!));
    const log = await noteVerifier(demo.logKey);
    const { index, checkpoint } = await verifyLogProof(demo.proof, entry, { log });
    expect([index, checkpoint.size]).toEqual([1, 3]);
    const other = await sha256(toUtf8(demo.claims[1]!));
    expect(await why(verifyLogProof(demo.proof, other, { log }))).toBe("provenance/proof");
  });

  it("shows that the first image was there, without the others, and which models saw it", () => {
    const pixels = fromBase64(demo.pixels);
    const image = ndArray(
      Float32Array.from(pixels, (value) => value / 255),
      [28, 28, 1],
    );
    const proof = demo.membership as MembershipProof;
    const record = { image, label: demo.label };
    expect(verifyMembership(proof, record, manifest)).toMatchObject({ index: 0, records: 70_000 });
    expect(() => verifyMembership(proof, { ...record, label: demo.label + 1 }, manifest)).toThrow();
    const whole = run.artefacts.find(({ name }) => name === "MNIST")!;
    const models = impact(run, whole.id).filter(({ artefact }) => artefact.kind === "model");
    expect(models.map(({ artefact }) => artefact.name)).toEqual([
      ...["standard model, weights", "hardened model, weights", "hardened"],
    ]);
  });
});
