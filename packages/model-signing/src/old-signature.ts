import { concatBytes, ecdsaFromDer, fromUtf8, type PublicKey, toUtf8 } from "@parapet/attestation";

/**
 * Release 0.2.0 of the reference signed a text in which the payload stands as Python prints bytes, by SHA-256 on every curve.
 * Both texts have their lengths in front, so none can be taken for the other.
 */
export async function isOldSignature(
  key: PublicKey,
  payload: Uint8Array,
  type: string,
  signature: Uint8Array,
): Promise<boolean> {
  const curve = { "ecdsa-p256-sha256": "P-256", "ecdsa-p384-sha384": "P-384", "ecdsa-p521-sha512": "P-521" }[
    key.algorithm as string
  ];
  if (curve === undefined) return false;
  const size = { "P-256": 32, "P-384": 48, "P-521": 66 }[curve]!;
  const text = fromUtf8(payload);
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escapes: Readonly<Record<number, string>> = {
    9: "\\t",
    10: "\\n",
    13: "\\r",
    92: "\\\\",
    [quote.charCodeAt(0)]: `\\${quote}`,
  };
  const printed = Array.from(
    payload,
    (byte) =>
      escapes[byte] ??
      (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`),
  ).join("");
  const bytes = concatBytes(
    toUtf8(`DSSEV1 ${type.length} ${type} ${payload.length} b${quote}`),
    toUtf8(printed),
    toUtf8(quote),
  );
  const { subtle } = globalThis.crypto;
  const opened = await subtle.importKey("spki", key.spki, { name: "ECDSA", namedCurve: curve }, false, ["verify"]);
  return subtle.verify({ name: "ECDSA", hash: "SHA-256" }, opened, ecdsaFromDer(signature, size), bytes);
}
