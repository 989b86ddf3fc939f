import { createSigner, fromBase64 } from "@parapet/attestation";
import { ed25519Signer } from "@parapet/attestation/small";
import { createRng } from "@parapet/core";
import { noteSigner, noteVerifier, readNote, signNote, verifyNote, writeNote } from "@parapet/provenance";
import { describe, expect, it } from "vitest";
import { codeOf, testSigner, verifierOf } from "../helpers/keys.ts";
import go from "../vectors/log/go.json" with { type: "json" };

// From https://c2sp.org/signed-note and from the documentation of golang.org/x/mod/sumdb/note.
const published = [
  {
    key: "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    note: "This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
  },
  {
    key: "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    note: "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
  },
];
const { notes } = go;
const seed = fromBase64(notes.seed);

describe("signed notes", () => {
  it.each(published)("proves the published note of $key", async ({ key, note }) => {
    for (const verifier of [await noteVerifier(key), await verifierOf({ text: key })]) {
      const { text, by } = await verifyNote(note, [verifier]);
      expect(by.map((one) => one.key.text)).toEqual([key]);
      expect(note.startsWith(`${text}\n\u2014`)).toBe(true);
      expect(await codeOf(verifyNote(note.replace("is", "Is"), [verifier]))).toBe("provenance/signature");
    }
    expect(writeNote(readNote(note))).toBe(note);
  });

  it("makes Go's notes and cosignatures byte for byte", async () => {
    const signer = noteSigner("example.com/log", ed25519Signer(seed));
    expect(signer.text).toBe(notes.log.key);
    const { text } = readNote(notes.log.note);
    const signed = await signNote(text, [signer]);
    expect(signed).toBe(notes.log.note);
    const now = () => notes.cosignature.time * 1000;
    const witness = noteSigner("witness.example/one", ed25519Signer(seed), { type: "cosignature/v1", now });
    expect(witness.text).toBe(notes.cosignature.key);
    expect(await signNote(text, [witness], readNote(signed).signatures)).toBe(notes.cosignature.note);
  });

  it("proves Go's cosignature with its time, and Go's ECDSA note", async () => {
    const cosigned = await verifyNote(notes.cosignature.note, [await verifierOf({ text: notes.cosignature.key })]);
    expect(cosigned.by[0]?.time).toBe(notes.cosignature.time);
    const { by } = await verifyNote(notes.ecdsa.note, [await noteVerifier(notes.ecdsa.key)]);
    expect(by[0]?.key.type).toBe("ecdsa-p256-sha256");
    expect(await codeOf(verifyNote(notes.ecdsa.note.replace("70", "71"), [await noteVerifier(notes.ecdsa.key)]))).toBe(
      "provenance/signature",
    );
  });

  it("signs by ECDSA on P-256", async () => {
    const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign"]);
    const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
    const pem = `-----BEGIN PRIVATE KEY-----\n${btoa(String.fromCharCode(...pkcs8)).replace(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
    const signer = noteSigner("ecdsa.example", await createSigner(pem));
    const { by } = await verifyNote(await signNote("hello\n", [signer]), [await noteVerifier(signer.text)]);
    expect(by[0]?.key.text).toBe(signer.text);
    expect(() => noteSigner("a", { ...signer, sign: async () => seed }, { type: "ed25519" })).toThrow(TypeError);
  });

  it("passes over unknown keys, and is spoilt by a known key's bad signature", async () => {
    const [ann, bob] = [testSigner("ann.example", 1), testSigner("bob.example", 2)];
    const note = await signNote("hello\n", [ann, bob]);
    const both = await Promise.all([ann, bob].map(verifierOf));
    expect((await verifyNote(note, both)).by.map(({ key }) => key.name)).toEqual(["ann.example", "bob.example"]);
    expect((await verifyNote(note, [both[1]!])).by.length).toBe(1);
    expect(await codeOf(verifyNote(note, []))).toBe("provenance/signature");
    const [first, second] = readNote(note).signatures;
    const bad = writeNote({ text: "hello\n", signatures: [first!, { ...second!, signature: first!.signature }] });
    expect(await codeOf(verifyNote(bad, both))).toBe("provenance/signature");
    expect((await verifyNote(bad, [both[0]!])).by.length).toBe(1);
    // The same line again is refused: nobody is to be able to change a note without a key.
    expect(() => writeNote({ text: "hello\n", signatures: [first!, first!] })).toThrow("each signature once");
    expect(await codeOf(verifyNote(note + note.slice(note.indexOf("\u2014")), both))).toBe("provenance/malformed");
    // The name or the id of a known key alone make no known key.
    const other = writeNote({
      text: "hello\n",
      signatures: [first!, { ...second!, id: 7, signature: first!.signature }],
    });
    expect((await verifyNote(other, both)).by.length).toBe(1);
  });

  it("takes 16 signatures and texts with blank lines, and no more than 100", async () => {
    const signers = Array.from({ length: 16 }, (_, i) => testSigner(`key${i}.example`, i + 1));
    const note = await signNote("a\n\nb\n\n", signers);
    expect((await verifyNote(note, [await verifierOf(signers[15]!)])).text).toBe("a\n\nb\n\n");
    const { text, signatures } = readNote(note);
    expect(() => writeNote({ text, signatures: Array.from({ length: 101 }, () => signatures[0]!) })).toThrow(
      /at most 100/,
    );
    expect(() => readNote("x".repeat(1_000_001))).toThrow(/at most 1000000/);
  });

  it.each([
    "",
    "hello",
    "hello\n",
    "hello\n\n",
    "hello\n\n\u2014 a AAAAAQI=",
    "hello\n\n- a AAAAAQI=\n",
    "hello\n\n\u2014 a AAAAAQ==\n",
    "hello\n\n\u2014 a AAAAAQJ=\n",
    "hello\n\n\u2014 a+b AAAAAQI=\n",
    "hello\n\n\u2014 a\u2003b AAAAAQI=\n",
    "hello\n\n\u2014  AAAAAQI=\n",
    "hello\n\n\u2014 a AAAAAQI= \n",
    "hello\r\n\n\u2014 a AAAAAQI=\n",
    "hel\0lo\n\n\u2014 a AAAAAQI=\n",
    "hel\ud800lo\n\n\u2014 a AAAAAQI=\n",
    "hello\n\n\u2014 a AAAAAQI=\n\nhello",
  ])("refuses the form of %j", async (note) => {
    expect(await codeOf((async () => readNote(note))())).toBe("provenance/malformed");
  });

  it.each([
    "",
    "example.com/foo",
    "example.com/foo+530d903a",
    "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    "example.com/fo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    "example.com /foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
  ])("refuses the key %j", async (key) => {
    expect(await codeOf(noteVerifier(key))).toBe("provenance/malformed");
  });

  it("never proves a changed note", { timeout: 120_000 }, async () => {
    const rng = createRng("notes");
    const { key, note } = published[0]!;
    const verifier = await noteVerifier(key);
    const { text } = readNote(note);
    const bytes = new TextEncoder().encode(note);
    const runs = "process" in globalThis ? Number(process.env.PARAPET_FUZZ ?? 2000) : 500;
    for (let run = 0; run < runs; run++) {
      const at = rng.integer(bytes.length);
      const other = bytes.slice();
      const kind = rng.integer(3);
      other[at] = rng.integer(256);
      const changed =
        kind === 0
          ? other
          : kind === 1
            ? bytes.slice(0, at)
            : Uint8Array.from([...bytes.slice(0, at), ...bytes.slice(at + 1)]);
      if (String(changed) === String(bytes)) continue;
      const outcome = await verifyNote(changed, [verifier]).catch((error) => error);
      // A change is refused, or was in nothing that is signed.
      if (outcome.code === undefined) expect([outcome.text, outcome.by.length]).toEqual([text, 1]);
      else expect(outcome.code).toMatch(/^provenance\//);
    }
  });
});
