import { createSigner, envelopeToJson, generateKeyPair, type KeyPair, signEvidence } from "@parapet/attestation";
import {
  memorySource,
  readPolicy,
  signModel,
  type TrustPolicy,
  verifyByPolicy,
  verifyModel,
} from "@parapet/model-signing";
import { beforeAll, describe, expect, it } from "vitest";
import certificates from "./vectors/certificates/certificates.json" with { type: "json" };

let keys: KeyPair[];
const model = memorySource("digits-v2", { w: Uint8Array.of(1, 2, 3), "a.json": Uint8Array.of(4) });
const pem = (i: number) => keys[i]!.publicKey.pem;
const rule = (more: object = {}): TrustPolicy => ({
  version: 1,
  rules: [{ signers: [{ key: pem(0) }, { key: pem(1) }], ...more }],
});
const sign = (i: number, source = model) => signModel(source, keys[i]!.signer);
const why = (promise: Promise<unknown>) =>
  promise.then(
    () => "trusted",
    (error: Error & { code: string }) => `${error.code}: ${error.message}`,
  );

beforeAll(async () => {
  keys = [];
  for (let i = 0; i < 3; i++) keys.push(await generateKeyPair("ecdsa-p256-sha256"));
});

describe("who may sign what", () => {
  it("any of the signers, or so many of them, each once", async () => {
    const [one, two, three] = [await sign(0), await sign(1), await sign(2)];
    expect((await verifyByPolicy(model, [two], rule())).signers).toEqual([keys[1]!.publicKey.fingerprint]);
    expect(await why(verifyByPolicy(model, [three], rule()))).toMatch(
      /^model-signing\/policy: the policy expected a signature that it trusts/,
    );
    expect(await why(verifyByPolicy(model, [one, one, await sign(0)], rule({ threshold: 2 })))).toMatch(
      "2 signers are needed, 1 signed",
    );
    expect(await why(verifyByPolicy(model, [three, one, two], rule({ threshold: 2 })))).toBe("trusted");
    await expect(verifyByPolicy(model, [], rule())).rejects.toThrow(RangeError);
  });

  it("signatures over different files do not add up", async () => {
    const other = memorySource("digits-v2", { w: Uint8Array.of(1, 2, 4), "a.json": Uint8Array.of(4) });
    // The same digests under names that keep their order: the root digest is the same.
    const renamed = memorySource("digits-v2", { w: Uint8Array.of(1, 2, 3), "b.json": Uint8Array.of(4) });
    const digest = async (source: typeof model) =>
      (await verifyModel(source, await sign(0, source), { keys: [pem(0)] })).rootDigest;
    expect(await digest(renamed)).toBe(await digest(model));
    for (const source of [other, renamed]) {
      expect(await why(verifyByPolicy(model, [await sign(0), await sign(1, source)], rule({ threshold: 2 })))).toMatch(
        "2 signers are needed, 1 signed",
      );
    }
  });

  it("models by name; a rule for another model is none", async () => {
    const bundle = [await sign(0)];
    for (const models of [["digits-v2"], ["digits-*"], ["*"], ["faces", "digits-v2"]]) {
      expect(await why(verifyByPolicy(model, bundle, rule({ models })))).toBe("trusted");
    }
    for (const models of [["digits"], ["digits-v2-*"], ["*-v2"]]) {
      expect(await why(verifyByPolicy(model, bundle, rule({ models })))).toMatch(/^model-signing\/policy/);
    }
  });

  it("revoked keys and certificates do not count", async () => {
    const bundles = [await sign(0), await sign(1)];
    const revoked = [keys[0]!.publicKey.fingerprint];
    expect((await verifyByPolicy(model, bundles, { ...rule(), revoked })).signers).toEqual([
      keys[1]!.publicKey.fingerprint,
    ]);
    expect(await why(verifyByPolicy(model, bundles, { ...rule({ threshold: 2 }), revoked }))).toMatch(
      /^model-signing\/policy/,
    );
    const { chain, roots } = certificates.cases[0]!;
    const bundle = await signModel(model, await createSigner(certificates.key), { certificates: chain });
    const byRoots = (signer: object, more: object = {}) =>
      verifyByPolicy(model, [bundle], { version: 1, rules: [{ signers: [{ roots, ...signer }] }], ...more });
    const { signedBy } = await byRoots({});
    expect(await why(byRoots({}, { revoked: [signedBy.certificate!.fingerprint] }))).toMatch("is revoked");
    expect(await why(byRoots({ commonName: "leaf" }))).toBe("trusted");
    expect(await why(byRoots({ commonName: "somebody" }))).toMatch(/^model-signing\/policy/);
  });

  it("the files are still held against the signature", async () => {
    const changed = memorySource("digits-v2", { w: Uint8Array.of(1, 2, 9), "a.json": Uint8Array.of(4) });
    expect(await why(verifyByPolicy(changed, [await sign(0)], rule()))).toMatch(/^model-signing\/changed/);
    expect(await why(verifyByPolicy(model, ["{}"], rule()))).toMatch(/^model-signing\/(malformed|unsupported)/);
  });
});

describe("evidence that is demanded", () => {
  const schema = "urn:parapet:evidence:robustness-evaluation:v1";
  const demand = (more: object = {}): TrustPolicy => ({
    ...rule(),
    evidence: [{ predicateType: schema, keys: [pem(2)], ...more }],
  });
  const claim = async (evidence: object, i = 2, source = model) => {
    const { rootDigest } = await verifyModel(source, await sign(0, source), { keys: [pem(0)] });
    const envelope = await signEvidence(
      { schema, ...evidence },
      [{ digest: { sha256: rootDigest } }],
      [keys[i]!.signer],
    );
    return JSON.stringify(envelopeToJson(envelope));
  };
  const verify = async (policy: TrustPolicy, claims: string, now?: Date) =>
    why(verifyByPolicy(model, [await sign(0)], policy, { claims, ...(now && { now }) }));

  it("must lie there, by the auditor's key, about this model", async () => {
    expect(await verify(demand(), await claim({}))).toBe("trusted");
    expect(await verify(demand(), `\nnot json\n{}\n${await claim({})}\n`)).toBe("trusted");
    expect(await verify(demand(), "")).toMatch(
      /^model-signing\/policy: the policy is not met: evidence urn:.*: there is none/,
    );
    expect(await verify(demand(), await claim({}, 1))).toMatch("there is none by a key that counts");
    const other = memorySource("x", { w: Uint8Array.of(9) });
    expect(await verify(demand(), await claim({}, 2, other))).toMatch("there is none");
    expect(await verify({ ...demand(), revoked: [keys[2]!.publicKey.fingerprint] }, await claim({}))).toMatch(
      "there is none",
    );
    expect(
      await verify({ ...demand(), evidence: [{ predicateType: "urn:other", keys: [pem(2)] }] }, await claim({})),
    ).toMatch("there is none");
  });

  it.each<[object, boolean]>([
    [{ path: ["robust", "rate"], min: 0.9 }, true],
    [{ path: ["robust", "rate"], min: 0.91 }, false],
    [{ path: ["robust", "rate"], max: 0.89 }, false],
    [{ path: ["threat", "norm"], equals: "linf" }, true],
    [{ path: ["threat", "norm"], equals: "l2" }, false],
    [{ path: ["threat", "norm"], min: 0 }, false],
    [{ path: ["robust", "missing"], min: 0 }, false],
    [{ path: ["toString"], equals: "x" }, false],
    [{ path: ["robust", "rate", "deeper"], min: 0 }, false],
    [{ path: ["expires"], notPast: true }, true],
    [{ path: ["robust", "rate"], notPast: true }, false],
    [{ path: ["created"], maxAge: 86_400 }, true],
    [{ path: ["created"], maxAge: 86_399 }, false],
    [{ path: ["expires"], maxAge: 1e9 }, false],
    [{ path: ["robust", "rate"], maxAge: 1e9 }, false],
  ])("must say enough: %j", async (condition, good) => {
    const evidence = {
      robust: { rate: 0.9 },
      threat: { norm: "linf" },
      created: "2029-12-30T00:00:00Z",
      expires: "2030-01-01T00:00:00Z",
    };
    const now = new Date("2029-12-31T00:00:00Z");
    const said = await verify(demand({ where: [condition] }), await claim(evidence), now);
    expect(said === "trusted").toBe(good);
    if (!good) expect(said).toMatch(/^model-signing\/policy: .* is not /);
  });

  it("ends when its time is over; a fresh one beside it is enough", async () => {
    const policy = demand({ where: [{ path: ["expires"], notPast: true }] });
    const [old, fresh] = [
      await claim({ expires: "2030-01-01T00:00:00Z" }),
      await claim({ expires: "2031-01-01T00:00:00Z" }),
    ];
    const now = new Date("2030-06-01T00:00:00Z");
    expect(await verify(policy, old, now)).toMatch("expires is not a time in the future");
    expect(await verify(policy, `${old}\n${fresh}`, now)).toBe("trusted");
  });
});

describe("a policy is read strictly", () => {
  const good = () => ({
    version: 1,
    rules: [{ models: ["a"], signers: [{ key: pem(0) }], threshold: 1 }],
    revoked: ["ab".repeat(32)],
    evidence: [{ predicateType: "u", keys: [pem(0)], where: [{ path: ["a"], min: 1 }] }],
  });
  it("comes back", () => {
    expect(readPolicy(JSON.stringify(good()))).toEqual(good());
  });

  // biome-ignore lint/suspicious/noExplicitAny: it is taken apart
  it.each<[string, (policy: any) => unknown]>([
    ["another version", (p) => ({ ...p, version: 2 })],
    ["no rules", (p) => ({ ...p, rules: [] })],
    ["a misspelt field", (p) => ({ ...p, revokd: [] })],
    ["a misspelt field of a rule", (p) => ({ ...p, rules: [{ ...p.rules[0], treshold: 2 }] })],
    ["no signers", (p) => ({ ...p, rules: [{ signers: [] }] })],
    ["a signer that is nobody", (p) => ({ ...p, rules: [{ signers: [{}] }] })],
    ["a signer that is two", (p) => ({ ...p, rules: [{ signers: [{ key: pem(0), roots: pem(0) }] }] })],
    ["a threshold of none", (p) => ({ ...p, rules: [{ ...p.rules[0], threshold: 0 }] })],
    ["a threshold that cannot be met", (p) => ({ ...p, rules: [{ ...p.rules[0], threshold: 2 }] })],
    ["a fingerprint that is none", (p) => ({ ...p, revoked: ["AB"] })],
    ["evidence by nobody", (p) => ({ ...p, evidence: [{ predicateType: "u", keys: [] }] })],
    [
      "a condition that asks nothing",
      (p) => ({ ...p, evidence: [{ predicateType: "u", keys: [pem(0)], where: [{ path: ["a"] }] }] }),
    ],
    [
      "a bound that is no number",
      (p) => ({ ...p, evidence: [{ predicateType: "u", keys: [pem(0)], where: [{ path: ["a"], min: "1" }] }] }),
    ],
  ])("%s", (_, change) => {
    expect(() => readPolicy(JSON.stringify(change(good())))).toThrow(
      expect.objectContaining({ code: "model-signing/malformed" }),
    );
  });
});
