import {
  createStatement,
  createVerifier,
  type Envelope,
  encodeStatement,
  envelopeToJson,
  fromUtf8,
  generateKeyPair,
  type Json,
  type KeyPair,
  parseJson,
  parseStatement,
  preAuthenticationEncoding,
  publicKeyFrom,
  readEnvelope,
  signEnvelope,
  signEvidence,
  statementMediaType,
  toHex,
  toUtf8,
  type Verifier,
  verifyEnvelope,
  verifyEvidence,
} from "@parapet/attestation";
import { beforeAll, describe, expect, it } from "vitest";

const type = "http://example.com/HelloWorld";
const payload = toUtf8("hello world");
let keys: KeyPair[];
let verifiers: Verifier[];

beforeAll(async () => {
  keys = [];
  for (const algorithm of ["ecdsa-p256-sha256", "ecdsa-p384-sha384", "ecdsa-p521-sha512"] as const) {
    keys.push(await generateKeyPair(algorithm));
  }
  verifiers = await Promise.all(keys.map(({ publicKey }) => createVerifier(publicKey)));
});

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "none",
    (error: { code?: string }) => error.code ?? String(error),
  );

describe("DSSE", () => {
  it("proves the signature that its authors published", async () => {
    // protocol.md, "Test Vectors": a key on P-256 and a signature made by it.
    const x = BigInt("46950820868899156662930047687818585632848591499744589407958293238635476079160");
    const y = BigInt("5640078356564379163099075877009565129882514886557779369047442380624545832820");
    const bytes = (n: bigint) =>
      Uint8Array.from(n.toString(16).padStart(64, "0").match(/../g)!, (d) => Number.parseInt(d, 16));
    const key = await publicKeyFrom("ecdsa-p256-sha256", Uint8Array.of(4, ...bytes(x), ...bytes(y)));
    expect(fromUtf8(preAuthenticationEncoding(type, payload))).toBe(`DSSEv1 29 ${type} 11 hello world`);
    const envelope = readEnvelope({
      payload: "aGVsbG8gd29ybGQ=",
      payloadType: type,
      signatures: [
        {
          keyid: "66301bbf",
          sig: "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==",
        },
      ],
    });
    // It is written as two numbers side by side there; ours are DER.
    const { ecdsaToDer } = await import("@parapet/attestation");
    const der = { ...envelope, signatures: [{ keyid: null, sig: ecdsaToDer(envelope.signatures[0]!.sig) }] };
    expect(fromUtf8((await verifyEnvelope(der, [await createVerifier(key)])).payload)).toBe("hello world");
    expect(await codeOf(verifyEnvelope(envelope, [await createVerifier(key)]))).toBe("attestation/signature");
  });

  it("signs, is written, read and proven; each key counts once", async () => {
    const signers = [keys[0]!, keys[1]!, keys[0]!].map(({ signer }) => signer);
    const envelope = readEnvelope(
      parseJson(JSON.stringify(envelopeToJson(await signEnvelope(type, payload, signers)))),
    );
    const proven = await verifyEnvelope(envelope, [...verifiers, verifiers[0]!], { threshold: 2 });
    expect(proven.by.map(({ fingerprint }) => fingerprint)).toEqual(
      [keys[0]!, keys[1]!].map(({ publicKey }) => publicKey.fingerprint),
    );
    expect(await codeOf(verifyEnvelope(envelope, verifiers, { threshold: 3 }))).toBe("attestation/threshold");
    expect(await codeOf(verifyEnvelope(envelope, [verifiers[2]!]))).toBe("attestation/signature");
    expect(await codeOf(verifyEnvelope(envelope, []))).toBe("attestation/signature");
    for (const threshold of [0, -1, 1.5, Number.NaN]) {
      await expect(verifyEnvelope(envelope, verifiers, { threshold })).rejects.toThrow(RangeError);
    }
  });

  it("refuses every change of one bit, in the payload, its type and the signature", async () => {
    const envelope = await signEnvelope("ab", toUtf8("cd"), [keys[0]!.signer]);
    const refused: string[] = [];
    const flipped = (bytes: Uint8Array, bit: number) => {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      return changed;
    };
    const attempt = async (changed: Envelope) => refused.push(await codeOf(verifyEnvelope(changed, [verifiers[0]!])));
    for (let bit = 0; bit < 16; bit++) await attempt({ ...envelope, payload: flipped(envelope.payload, bit) });
    for (let bit = 0; bit < 7; bit++) {
      await attempt({ ...envelope, payloadType: `a${String.fromCharCode("b".charCodeAt(0) ^ (1 << bit))}` });
    }
    const { sig } = envelope.signatures[0]!;
    for (let bit = 0; bit < 8 * sig.length; bit++)
      await attempt({ ...envelope, signatures: [{ sig: flipped(sig, bit), keyid: null }] });
    expect(new Set(refused)).toEqual(new Set(["attestation/signature"]));
    // The length between type and payload cannot be moved from one to the other.
    await attempt({ ...envelope, payloadType: "a", payload: toUtf8("bcd") });
    expect(refused.at(-1)).toBe("attestation/signature");
  });

  it("is read strictly", () => {
    const good = { payload: "", payloadType: "t", signatures: [{ sig: "AA==" }] };
    expect(readEnvelope(good).signatures[0]!.keyid).toBe(null);
    expect(readEnvelope({ ...good, signatures: [{ sig: "AA==", keyid: "" }] }).signatures[0]!.keyid).toBe("");
    const bad: Json[] = [
      null,
      [],
      {},
      { ...good, extra: 1 },
      { ...good, payload: 1 },
      { ...good, payload: "AB==" },
      { ...good, payload: "AA" },
      { ...good, payloadType: "" },
      { ...good, signatures: [] },
      { ...good, signatures: {} },
      { ...good, signatures: [{}] },
      { ...good, signatures: [{ sig: "AA==", keyid: 1 }] },
      { ...good, signatures: [{ sig: "AA==", cert: "" }] },
      { ...good, signatures: Array.from({ length: 65 }, () => ({ sig: "AA==" })) },
    ];
    for (const json of bad) {
      expect(() => readEnvelope(json), JSON.stringify(json)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^attestation\/(malformed|not-canonical|too-large)$/) }),
      );
    }
  });

  it("asks for at least one signer", async () => {
    await expect(signEnvelope(type, payload, [])).rejects.toThrow(RangeError);
    // @ts-expect-error bytes, not a text
    await expect(signEnvelope(type, "hello", [keys[0]!.signer])).rejects.toThrow(TypeError);
  });
});

describe("statements", () => {
  const digest = { sha256: "ab".repeat(32) };

  it("come back, and unknown fields are passed over", () => {
    const statement = createStatement([{ name: "model", digest }], "https://example.com/v1", { a: [1] });
    expect(parseStatement(encodeStatement(statement))).toEqual(statement);
    expect(parseStatement(toUtf8(JSON.stringify({ ...statement, later: 1 })))).toEqual(statement);
  });

  it.each([
    { _type: "https://in-toto.io/Statement/v0.1" },
    { subject: [] },
    { subject: [{ name: "model" }] },
    { subject: [{ digest: {} }] },
    { subject: [{ digest: { sha256: "AB" } }] },
    { subject: [{ digest: { sha256: "a" } }] },
    { subject: [{ digest: { sha256: "" } }] },
    { subject: [{ digest, name: 1 }] },
    { predicateType: "" },
  ])("are refused: %j", (change) => {
    const statement = { ...createStatement([{ digest }], "https://example.com/v1", null), ...change };
    expect(() => parseStatement(toUtf8(JSON.stringify(statement)))).toThrow(
      expect.objectContaining({ code: "attestation/malformed" }),
    );
  });
});

describe("evidence", () => {
  const model = { name: "model", digest: { sha256: "ab".repeat(32), sha512: "cd".repeat(64) } };
  const evidence = { schema: "urn:parapet:evidence:robustness-evaluation:v1", robust: { rate: 0.9 } };
  const wanted = { predicateType: evidence.schema, subject: model };

  it("is proven for the model it is about, by whom it was signed", async () => {
    const envelope = await signEvidence(evidence, [model], [keys[0]!.signer]);
    expect(envelope.payloadType).toBe(statementMediaType);
    const proven = await verifyEvidence(envelope, verifiers, wanted);
    expect(proven.evidence).toEqual(evidence);
    expect(proven.by.map(({ fingerprint }) => fingerprint)).toEqual([keys[0]!.publicKey.fingerprint]);
    const bySha512 = { digest: { sha512: model.digest.sha512 } };
    expect((await verifyEvidence(envelope, verifiers, { ...wanted, subject: bySha512 })).statement.subject).toEqual([
      model,
    ]);
  });

  it("is refused when it is of another type, about something else, or by somebody else", async () => {
    const envelope = await signEvidence(evidence, [model], [keys[0]!.signer]);
    const about = (digest: Record<string, string>) =>
      verifyEvidence(envelope, verifiers, { ...wanted, subject: { digest } });
    expect(await codeOf(about({ sha256: "00".repeat(32) }))).toBe("attestation/statement");
    // One digest that agrees does not outweigh one that does not.
    expect(await codeOf(about({ sha256: model.digest.sha256, sha512: "00".repeat(64) }))).toBe("attestation/statement");
    expect(await codeOf(about({ sha3: "00" }))).toBe("attestation/statement");
    expect(await codeOf(about({}))).toBe("attestation/statement");
    expect(await codeOf(verifyEvidence(envelope, verifiers, { ...wanted, predicateType: "urn:other" }))).toBe(
      "attestation/statement",
    );
    expect(await codeOf(verifyEvidence(envelope, [verifiers[1]!], wanted))).toBe("attestation/signature");
    const text = await signEnvelope("text/plain", envelope.payload, [keys[0]!.signer]);
    expect(await codeOf(verifyEvidence(text, verifiers, wanted))).toBe("attestation/statement");
    // @ts-expect-error evidence names its schema
    await expect(signEvidence({}, [model], [keys[0]!.signer])).rejects.toThrow(TypeError);
    expect(toHex(envelope.signatures[0]!.sig).slice(0, 2)).toBe("30");
  });
});
