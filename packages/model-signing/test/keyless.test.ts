import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { generateKeyPair, type Json } from "@parapet/attestation";
import { createRng } from "@parapet/core";
import { memorySource, signModel, type Trust, verifyBundle, verifyByPolicy, verifyModel } from "@parapet/model-signing";
import { type KeylessIdentity, keylessTrust, keylessVerifier } from "@parapet/model-signing/node/keyless";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { readIdentity } from "../src/keyless.ts";
import { address, identityCertificate, mail, username } from "./helpers/identities.ts";
import { trustedRootOf } from "./helpers/suite.ts";
import { hasVectors, vector } from "./helpers/vectors.ts";

const signer = { identity: "stefanb@us.ibm.com", issuer: "https://sigstore.verify.ibm.com/oauth2" };
const versions = ["0.3.1", "1.0.0", "1.0.1", "1.1.0"] as const;
const folder = (version: string) => vector("conformance", "verify", "historical", `historical-v${version}-sigstore`);
const bundleOf = (version: string) => readFileSync(`${folder(version)}/bundle.sig`, "utf8");
const file = (name: string) => Uint8Array.from(readFileSync(`${folder("1.1.0")}/model/${name}`));
const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "proven",
    (error: { code?: string; name: string }) => error.code ?? error.name,
  );

// biome-ignore lint/suspicious/noExplicitAny: JSON that is changed at any depth
type Loose = Record<string, any>;
/** The bundle with a change, as text. */
function changed(version: string, change: (bundle: Loose) => void): string {
  const bundle = JSON.parse(bundleOf(version)) as Loose;
  change(bundle);
  return JSON.stringify(bundle);
}

describe.skipIf(!hasVectors)("signatures of identities", () => {
  let root: Loose;
  let trust: Trust;
  const trusting = (identities: readonly KeylessIdentity[], change: (root: Loose) => void = () => undefined) => {
    const copy = structuredClone(root);
    change(copy);
    return keylessTrust({ trustedRoot: JSON.stringify(copy), identities });
  };
  const connect = vi.spyOn(Socket.prototype, "connect");

  beforeAll(() => {
    connect.mockImplementation(() => {
      throw new Error("nothing is asked of any network here");
    });
    const source = trustedRootOf(vector("conformance"));
    root = JSON.parse(new TextDecoder().decode(source)) as Loose;
    trust = keylessTrust({ trustedRoot: source, identities: [signer] });
  });
  afterAll(() => {
    expect(connect).not.toHaveBeenCalled();
    connect.mockRestore();
  });

  it.each(versions)("by release %s of the reference are proven, without a network", async (version) => {
    const source = memorySource("model", { "signme-1": file("signme-1"), "signme-2": file("signme-2") });
    const { signedBy, resources } = await verifyModel(source, bundleOf(version), trust);
    expect(resources.map(({ name }) => name)).toEqual(["signme-1", "signme-2"]);
    expect(signedBy.identity).toMatchObject(signer);
    expect(signedBy.certificate).toBeUndefined();
    expect(signedBy.identity!.authorities).toHaveLength(2);
    // The certificates last ten minutes: what counts is when they signed.
    const { integratedTime } = JSON.parse(bundleOf(version)).verificationMaterial.tlogEntries[0];
    expect(signedBy.identity!.signedBefore.getTime() / 1000).toBeCloseTo(Number(integratedTime), -1);
    const spoilt = memorySource("model", { "signme-1": file("signme-1").fill(0, 0, 1), "signme-2": file("signme-2") });
    expect(await code(verifyModel(spoilt, bundleOf(version), trust))).toBe("model-signing/changed");
  });

  it("of others are refused, however much alike", async () => {
    const { identity, issuer } = signer;
    for (const other of [
      { identity: "stefanb@us.ibm.co", issuer },
      { identity: "Stefanb@us.ibm.com", issuer },
      { identity: "stefanb@us.ibm.com ", issuer },
      { identity: "stefanb.us.ibm.com", issuer },
      { identity: ".*", issuer },
      { identity, issuer: `${issuer}/` },
      { identity, issuer: "https://sigstore.verify.ibm.com" },
      { identityPattern: "tefanb@*", issuer },
      { identityPattern: "stefanb@us.ibm.com.*", issuer },
      { identityPattern: "stefanb*", issuer: "https://accounts.example.com" },
    ])
      expect(await code(verifyBundle(bundleOf("1.1.0"), trusting([other])))).toBe("model-signing/signature");
    for (const same of [
      { identityPattern: "stefanb@*", issuer },
      { identityPattern: "stefanb@us.ibm.com*", issuer },
    ])
      expect(await code(verifyBundle(bundleOf("1.1.0"), trusting([{ identity: "x", issuer }, same])))).toBe("proven");
  });

  it("need a trusted root that has certified and seen them", async () => {
    const swap = (list: string) => (copy: Loose) => {
      const [first, second] = [copy.ctlogs[0].publicKey.rawBytes, copy.ctlogs[1].publicKey.rawBytes];
      for (const one of copy[list]) {
        const { publicKey } = one;
        if (publicKey.keyDetails === "PKIX_ECDSA_P256_SHA_256")
          publicKey.rawBytes = publicKey.rawBytes === first ? second : first;
      }
    };
    const cases: readonly (readonly [string, (copy: Loose) => void, string])[] = [
      ["another authority", (copy) => copy.certificateAuthorities.pop(), "model-signing/certificate"],
      [
        "an authority that was not trusted any more",
        (copy) => Object.assign(copy.certificateAuthorities[1].validFor, { end: "2025-01-01T00:00:00Z" }),
        "model-signing/certificate",
      ],
      ["logs of certificates with other keys", swap("ctlogs"), "model-signing/certificate"],
      ["logs with other keys", swap("tlogs"), "model-signing/log"],
      [
        "a log that was trusted later",
        (copy) => Object.assign(copy.tlogs[0].publicKey.validFor, { start: "2025-12-01T00:00:00Z" }),
        "model-signing/log",
      ],
      ["no authority for the timestamp", (copy) => delete copy.timestampAuthorities, "model-signing/log"],
    ];
    for (const [what, change, expected] of cases)
      expect(await code(verifyBundle(bundleOf("1.1.0"), trusting([signer], change))), what).toBe(expected);
  });

  it("need as many logs and times as are asked for, each once", async () => {
    const asking = (thresholds: object) =>
      keylessTrust({ trustedRoot: JSON.stringify(root), identities: [signer], thresholds });
    // A timestamp beside the log's time in the newest, the log's alone before.
    expect(await code(verifyBundle(bundleOf("1.1.0"), asking({ timestamps: 2 })))).toBe("proven");
    expect(await code(verifyBundle(bundleOf("1.0.1"), asking({ timestamps: 2 })))).toBe("model-signing/log");
    expect(await code(verifyBundle(bundleOf("1.1.0"), asking({ logs: 2 })))).toBe("model-signing/log");
    expect(await code(verifyBundle(bundleOf("1.1.0"), asking({ certificateLogs: 2 })))).toBe(
      "model-signing/certificate",
    );
    const twice = changed("1.1.0", ({ verificationMaterial: { tlogEntries } }) => tlogEntries.push(tlogEntries[0]));
    expect(await code(verifyBundle(twice, asking({ logs: 2 })))).toBe("model-signing/log");
    expect(await code(verifyBundle(twice, asking({})))).toBe("model-signing/log");
  });

  it("are held to one form", async () => {
    const cases: readonly (readonly [string, (material: Loose, entry: Loose) => void, string])[] = [
      ["no log entry", (material) => material.tlogEntries.pop(), "model-signing/malformed"],
      ["no list of them", (material) => delete material.tlogEntries, "model-signing/malformed"],
      ["no proof", (_, entry) => delete entry.inclusionProof, "model-signing/malformed"],
      ["no promise, but its time", (_, entry) => delete entry.inclusionPromise, "model-signing/malformed"],
      ["a field that is not known", (_, entry) => Object.assign(entry, { x: 1 }), "model-signing/malformed"],
      ["a number written otherwise", (_, entry) => (entry.logIndex = `0${entry.logIndex}`), "model-signing/malformed"],
      ["another place", (_, entry) => (entry.logIndex = "1"), "model-signing/log"],
      [
        "another time",
        (_, entry) => (entry.integratedTime = `${Number(entry.integratedTime) + 1}`),
        "model-signing/log",
      ],
      ["another kind", (_, entry) => (entry.kindVersion.kind = "hashedrekord"), "model-signing/malformed"],
      ["another version", (_, entry) => (entry.kindVersion.version = "0.0.2"), "model-signing/log"],
      [
        "a longer path",
        (_, entry) => entry.inclusionProof.hashes.push(entry.inclusionProof.hashes[0]),
        "model-signing/log",
      ],
      [
        "another root",
        (_, entry) => (entry.inclusionProof.rootHash = entry.inclusionProof.hashes[0]),
        "model-signing/malformed",
      ],
      ["another size", (_, entry) => (entry.inclusionProof.treeSize = "476246826"), "model-signing/malformed"],
      [
        "a line behind the signatures",
        (_, entry) => (entry.inclusionProof.checkpoint.envelope += "x\n"),
        "model-signing/malformed",
      ],
      ["two certificates", (material) => (material.publicKey = { hint: "0".repeat(64) }), "model-signing/malformed"],
      [
        "timestamps that are none",
        (material) => (material.timestampVerificationData.rfc3161Timestamps = [{ signedTimestamp: "AAAA" }]),
        "model-signing/malformed",
      ],
    ];
    for (const [what, change, expected] of cases) {
      const bundle = changed("1.1.0", ({ verificationMaterial }) =>
        change(verificationMaterial, verificationMaterial.tlogEntries[0]),
      );
      expect(await code(verifyBundle(bundle, trust)), what).toBe(expected);
    }
    // No promise and no time: nobody says when it was signed but the timestamp authority, which is enough.
    const late = changed("1.1.0", ({ verificationMaterial: { tlogEntries } }) => {
      const [entry] = tlogEntries;
      delete entry.inclusionPromise;
      entry.integratedTime = "0";
      entry.logIndex = entry.inclusionProof.logIndex;
    });
    expect(await code(verifyBundle(late, trust))).toBe("proven");
  });

  it("the entry, proof, certificate or timestamp of another bundle is refused", async () => {
    const other = JSON.parse(bundleOf("1.0.1")) as Loose;
    const from = other.verificationMaterial;
    const cases: readonly ((bundle: Loose) => void)[] = [
      ({ verificationMaterial }) => (verificationMaterial.tlogEntries = from.tlogEntries),
      ({ verificationMaterial }) => (verificationMaterial.certificate = from.certificate),
      ({ verificationMaterial: { tlogEntries } }) =>
        (tlogEntries[0].inclusionProof = from.tlogEntries[0].inclusionProof),
      ({ verificationMaterial: { tlogEntries } }) =>
        (tlogEntries[0].inclusionPromise = from.tlogEntries[0].inclusionPromise),
      ({ dsseEnvelope }) => (dsseEnvelope.payload = other.dsseEnvelope.payload),
      ({ dsseEnvelope }) => (dsseEnvelope.signatures = other.dsseEnvelope.signatures),
      (bundle) => (bundle.dsseEnvelope = other.dsseEnvelope),
    ];
    for (const change of cases)
      expect(await code(verifyBundle(changed("1.1.0", change), trust))).toMatch(/^model-signing\//);
  });

  it("a name in a checkpoint is no pattern", async () => {
    const slow = changed("1.1.0", ({ verificationMaterial: { tlogEntries } }) => {
      const { checkpoint } = tlogEntries[0].inclusionProof;
      checkpoint.envelope = checkpoint.envelope.replace("\u2014 rekor.sigstore.dev", "\u2014 (.+)+(.+)+(.+)+(.+)+!");
    });
    const start = performance.now();
    expect(await code(verifyBundle(slow, trust))).toBe("model-signing/malformed");
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it("bits of certificate, log entry, signature and statement: every change is refused", async () => {
    const text = bundleOf("1.1.0");
    const start = text.indexOf('"rfc3161Timestamps"');
    const end = text.indexOf('"dsseEnvelope"');
    // Behind a timestamp's signature lie bytes of its wrapping that nobody signs; they say nothing.
    const places = Array.from(text, (_, at) => at).filter((at) => at < start || at >= end);
    const count = Math.min(places.length, Number(process.env.PARAPET_FUZZ ?? 2000) / 8);
    for (let i = 0; i < count; i++) {
      const at = places[Math.floor((i * places.length) / count)]!;
      const other = String.fromCharCode(text.charCodeAt(at) ^ (1 << (i % 7)));
      const hostile = text.slice(0, at) + other + text.slice(at + 1);
      expect(await code(verifyBundle(hostile, trust)), `at ${at}`).toMatch(/^model-signing\//);
    }
  }, 600_000);

  it("hostile bundles and roots: typed errors, soon, and nothing is proven that was changed", async () => {
    const rng = createRng(11);
    const bundle = bundleOf("1.1.0");
    const whole = JSON.stringify(root);
    const parts = ['"', "{", "}", "[[[[", ":", ",", "null", "-1", "1e400", '"__proto__":', "A=", "\\u0000", "MIIB"];
    const spoil = (text: string) => {
      const at = rng.integer(text.length);
      const length = rng.integer(40);
      return { at, text: text.slice(0, at) + parts[rng.integer(parts.length)] + text.slice(at + length) };
    };
    // A timestamp carries certificates that nobody looks at: those of the trusted root count.
    const [start, end] = [bundle.indexOf('"signedTimestamp"'), bundle.indexOf('"dsseEnvelope"')];
    for (let i = 0; i < Number(process.env.PARAPET_FUZZ ?? 2000) / 8; i++) {
      const { at, text } = spoil(bundle);
      const outcome = await code(verifyBundle(text, trust));
      if (outcome !== "proven") expect(outcome).toMatch(/^model-signing\//);
      else expect(text === bundle || (at > start && at < end), `at ${at}`).toBe(true);
      // A root with another name or address in it may still be one.
      const made = await code(
        (async () => verifyBundle(bundle, keylessTrust({ trustedRoot: spoil(whole).text, identities: [signer] })))(),
      );
      expect(made).toMatch(/^(proven|model-signing\/.*)$/);
    }
    const deep = bundle.replace('"tlogEntries":[', `"tlogEntries":[${"[".repeat(100_000)}${"]".repeat(100_000)},`);
    expect(await code(verifyBundle(deep, trust))).toBe("model-signing/malformed");
    const nested = changed("1.1.0", ({ verificationMaterial }) => {
      // Lengths of ASN.1 in each other, ten thousand deep.
      const rings = Buffer.alloc(40_000);
      for (let at = 0; at < rings.length; at += 4)
        rings.set([0x30, 0x82, (rings.length - at - 4) >> 8, (rings.length - at - 4) & 255], at);
      verificationMaterial.timestampVerificationData.rfc3161Timestamps[0].signedTimestamp = rings.toString("base64");
    });
    expect(await code(verifyBundle(nested, trust))).toMatch(/^model-signing\//);
  }, 600_000);

  it("are no signatures of keys or certificates, nor the other way round", async () => {
    const { signer: own, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
    const byKey = await signModel(memorySource("m", new Uint8Array(3)), own);
    const byCertificate = readFileSync(
      vector("conformance", "verify", "historical", "historical-v1.1.0-certificate", "bundle.sig"),
      "utf8",
    );
    const roots = [readFileSync(vector("conformance", "assets", "keys", "certificate", "ca-cert.pem"), "utf8")];
    expect(await code(verifyBundle(byKey, trust))).toBe("model-signing/signature");
    expect(await code(verifyBundle(byCertificate, trust))).toBe("model-signing/signature");
    expect(await code(verifyBundle(bundleOf("1.1.0"), { roots }))).toBe("model-signing/unsupported");
    expect(await code(verifyBundle(bundleOf("1.1.0"), { keys: [publicKey.pem] }))).toBe("model-signing/unsupported");
    const all = { ...trust, keys: [publicKey.pem], roots, now: new Date("2025-10-10") };
    for (const bundle of [byKey, bundleOf("1.1.0")]) expect(await code(verifyBundle(bundle, all))).toBe("proven");
    // The certificate of an identity in a chain does not lead to a root of the caller's.
    const chained = changed("1.1.0", ({ verificationMaterial: material }) => {
      const { certificate } = material;
      for (const name of Object.keys(material)) delete material[name];
      Object.assign(material, { x509CertificateChain: { certificates: [certificate] }, tlogEntries: [] });
    });
    expect(await code(verifyBundle(chained, all))).toBe("model-signing/certificate");
  });

  it("count in policies, once for each identity", async () => {
    const source = memorySource("model", { "signme-1": file("signme-1"), "signme-2": file("signme-2") });
    const { signer: own, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
    const policy = (threshold: number, more: object = {}) =>
      ({ version: 1, rules: [{ signers: [signer, { key: publicKey.pem }], threshold }], ...more }) as const;
    const options = { keyless: keylessVerifier({ trustedRoot: JSON.stringify(root) }) };
    const bundle = bundleOf("1.1.0");
    const { signers, signedBy } = await verifyByPolicy(source, [bundle], policy(1), options);
    expect(signers).toEqual([signedBy.key.fingerprint]);
    const copy = memorySource("v1.1.0-sigstore", { "signme-1": file("signme-1"), "signme-2": file("signme-2") });
    expect(await code(verifyByPolicy(source, [bundle, await signModel(copy, own)], policy(2), options))).toBe("proven");
    expect(await code(verifyByPolicy(source, [bundle, bundle], policy(2), options))).toBe("model-signing/policy");
    for (const fingerprint of [
      signedBy.key.fingerprint,
      signedBy.identity!.fingerprint,
      ...signedBy.identity!.authorities,
    ])
      expect(await code(verifyByPolicy(source, [bundle], policy(1, { revoked: [fingerprint] }), options))).toBe(
        "model-signing/policy",
      );
    const other = { version: 1, rules: [{ signers: [{ identity: "x@example.com", issuer: signer.issuer }] }] } as const;
    expect(await code(verifyByPolicy(source, [bundle], other, options))).toBe("model-signing/policy");
    expect(await code(verifyByPolicy(source, [bundle], policy(1)))).toBe("TypeError");
    // Those of a key need no verifier of identities.
    expect(await code(verifyByPolicy(copy, [await signModel(copy, own)], policy(1)))).toBe("proven");
    for (const bad of [{ ...signer, key: publicKey.pem }, { identity: "x" }, { identityPattern: "*", issuer: "y" }]) {
      const signersOf = { version: 1, rules: [{ signers: [bad] }] } as never;
      expect(await code(verifyByPolicy(source, [bundle], signersOf, options))).toBe("model-signing/malformed");
    }
  });

  it("a root, identities and thresholds that are none are refused", () => {
    const why = (run: () => unknown) => {
      try {
        run();
      } catch (error) {
        return (error as { code?: string }).code ?? (error as Error).name;
      }
      return "taken";
    };
    const ask = (identity: unknown) => () => trusting([identity as KeylessIdentity]);
    expect(why(() => keylessTrust({ trustedRoot: JSON.stringify(root), identities: [] }))).toBe("TypeError");
    for (const identity of [{}, { identity: "x" }, { issuer: "x" }, { ...signer, identityPattern: "x*" }])
      expect(why(ask(identity))).toBe("TypeError");
    for (const identityPattern of ["*", "a*b", "a**", "a", ""])
      expect(why(ask({ identityPattern, issuer: "x" }))).toBe("TypeError");
    for (const logs of [0, -1, 1.5, Number.NaN])
      expect(why(() => keylessVerifier({ trustedRoot: JSON.stringify(root), thresholds: { logs } }))).toBe(
        "RangeError",
      );
    const changes: readonly ((copy: Loose) => void)[] = [
      (copy) => delete copy.mediaType,
      (copy) => delete copy.tlogs,
      (copy) => (copy.ctlogs = []),
      (copy) => (copy.certificateAuthorities = {}),
      (copy) => (copy.tlogs[0].publicKey.rawBytes = "AAAA"),
      (copy) => (copy.tlogs[0].publicKey.validFor.start = "yesterday"),
      (copy) => (copy.certificateAuthorities[1].certChain.certificates = []),
      (copy) => (copy.certificateAuthorities[1].certChain.certificates[0].rawBytes = "MAA"),
    ];
    for (const change of changes)
      expect(
        why(() => trusting([signer], change)),
        String(change),
      ).toBe("model-signing/malformed");
    for (const trustedRoot of ["", "[]", "null", "{", "\u0000"])
      expect(why(() => keylessVerifier({ trustedRoot }))).toBe("model-signing/malformed");
  });
});

describe("optional peers", () => {
  it.each(["index.ts", "node/index.ts", "node/cli.ts"])("%s needs none of them", async (entry) => {
    const { outputFiles } = await build({
      entryPoints: [fileURLToPath(new URL(`../src/${entry}`, import.meta.url))],
      bundle: true,
      write: false,
      packages: "external",
      format: "esm",
      platform: "node",
      logLevel: "silent",
      // What is loaded when it is asked for lies in files of its own.
      splitting: true,
      outdir: "out",
      chunkNames: "[hash]",
    });
    const files = new Map(outputFiles.map(({ path, text }) => [basename(path), text]));
    const loaded = [basename(entry).replace(".ts", ".js")];
    for (const name of loaded) {
      for (const [, next] of files.get(name)!.matchAll(/from "\.\/([^"]+)"|^import "\.\/([^"]+)"/gm)) {
        if (next !== undefined && !loaded.includes(next)) loaded.push(next);
      }
    }
    const text = loaded.map((name) => files.get(name)!).join("\n");
    expect(text).toContain("@parapet/attestation");
    expect(text).not.toMatch(/from "@(sigstore|noble\/(curves|post-quantum))|attestation\/extensions"/);
    expect([...files.values()].join("\n").includes("@sigstore/verify")).toBe(entry === "node/cli.ts");
  });
});

describe("whose certificate it is", () => {
  const made = async (options: Partial<Parameters<typeof identityCertificate>[0]>) => {
    const { spki } = (await generateKeyPair("ecdsa-p256-sha256")).publicKey;
    return readIdentity(identityCertificate({ spki, names: [mail("a@b.c")], issuer: "https://i", ...options }));
  };

  it("one name, of mail, an address, or of a user, and its issuer in both forms", async () => {
    expect(await made({})).toMatchObject({ identity: "a@b.c", issuer: "https://i" });
    expect(await made({ names: [address("https://x/y")], issuerRaw: "https://i" })).toMatchObject({
      identity: "https://x/y",
    });
    expect(await made({ names: [username("user!host")] })).toMatchObject({ identity: "user!host" });
    const { spki } = (await generateKeyPair("ecdsa-p256-sha256")).publicKey;
    const old = identityCertificate({ spki, names: [mail("a@b.c")], issuerRaw: "https://old" });
    expect(await readIdentity(old)).toMatchObject({ issuer: "https://old" });
  });

  it("everything else is refused: several names or issuers, letters that others read as ASCII, another purpose", async () => {
    const refused = "model-signing/certificate";
    expect(await code(made({ names: [] }))).toBe(refused);
    expect(await code(made({ names: [mail("a@b.c"), address("https://x")] }))).toBe(refused);
    expect(await code(made({ issuerRaw: "https://j" }))).toBe(refused);
    // "a" with the highest bit set: readers that drop the bit take it for "a".
    expect(await code(made({ names: [mail(Uint8Array.of(0xe1, 0x40, 0x62))] }))).toBe(refused);
    expect(await code(made({ names: [mail("a@b.c\u0000d")] }))).toBe(refused);
    expect(await code(made({ names: [mail("")] }))).toBe(refused);
    expect(await code(made({ for: "serverAuthentication" }))).toBe(refused);
    const { spki } = (await generateKeyPair("ecdsa-p256-sha256")).publicKey;
    expect(await code(readIdentity(identityCertificate({ spki, names: [mail("a@b.c")] })))).toBe(refused);
  });

  it("what a verifier proves is not whose it is, nor the signature", async () => {
    const { signer: own, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
    const der = identityCertificate({ spki: publicKey.spki, names: [mail("a@b.c")], issuer: "https://i" });
    const signed = JSON.parse(await signModel(memorySource("m", new Uint8Array(3)), own)) as Loose;
    const certificate = { rawBytes: Buffer.from(der).toString("base64") };
    const bundle = (change: (bundle: Loose) => void = () => undefined) => {
      const copy = structuredClone({ ...signed, verificationMaterial: { certificate, tlogEntries: [{}] } }) as Loose;
      change(copy);
      return JSON.stringify(copy);
    };
    let asked: Json | undefined;
    const verifier = async (json: Json) => {
      asked = json;
      return { times: [new Date(5000), new Date(4000)], authorities: ["x"] };
    };
    const trust = (identity: string) => ({ keyless: { identities: [{ identity, issuer: "https://i" }], verifier } });
    const { signedBy } = await verifyBundle(bundle(), trust("a@b.c"));
    expect(signedBy.identity).toMatchObject({ identity: "a@b.c", authorities: ["x"], signedBefore: new Date(4000) });
    expect(asked).toEqual(JSON.parse(bundle()));
    asked = undefined;
    expect(await code(verifyBundle(bundle(), trust("b@b.c")))).toBe("model-signing/signature");
    expect(asked).toBeUndefined();
    const other = bundle(({ dsseEnvelope }) => {
      dsseEnvelope.payload = Buffer.from("{}").toString("base64");
    });
    expect(await code(verifyBundle(other, trust("a@b.c")))).toBe("model-signing/signature");
  });
});
