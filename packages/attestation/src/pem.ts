import { fromBase64, toBase64 } from "./bytes.ts";
import { AttestationError, malformed } from "./errors.ts";

/** One block of a PEM file. */
export interface PemBlock {
  /** Such as "PUBLIC KEY". */
  readonly label: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Reads the blocks of a PEM file. Text between blocks is passed over, as some tools print there what a block says; in a
 * block there is base64 and nothing else.
 *
 * @param text - at most 1 MiB, with at least one block
 * @returns the blocks in their order
 * @throws AttestationError `attestation/malformed`, `attestation/not-canonical` or `attestation/too-large`
 *
 * @example
 * ```ts
 * import { parsePem, toPem } from "@parapet/attestation";
 * const [block] = parsePem(toPem("PUBLIC KEY", Uint8Array.of(1, 2, 3)));
 * console.log(block!.label, block!.bytes.join()); // => PUBLIC KEY 1,2,3
 * ```
 *
 * Source: RFC 7468.
 */
export function parsePem(text: string): PemBlock[] {
  if (text.length > 1 << 20) throw new AttestationError("attestation/too-large", "PEM expected at most 1 MiB");
  const blocks: PemBlock[] = [];
  let label: string | undefined;
  let body = "";
  for (const line of text.split(/\r?\n/)) {
    const [, kind, name] = /^-----(BEGIN|END) ([A-Z0-9 ]{1,64})-----[ \t]*$/.exec(line) ?? [];
    if (kind === "BEGIN") {
      if (label !== undefined) throw malformed(`PEM expected the end of "${label}", got the beginning of "${name}"`);
      label = name;
      body = "";
    } else if (kind === "END") {
      if (label === undefined || label !== name) throw malformed(`PEM expected no end of "${name}" here`);
      blocks.push({ label, bytes: fromBase64(body) });
      label = undefined;
    } else if (label !== undefined) body += line.trimEnd();
  }
  if (label !== undefined) throw malformed(`PEM expected the end of "${label}"`);
  if (blocks.length === 0) throw malformed('PEM expected a block "-----BEGIN ...-----", got none');
  return blocks;
}

/**
 * A PEM block as OpenSSL writes it: 64 letters a line, each line ended by a line feed.
 *
 * @param label - such as "PUBLIC KEY"
 * @param bytes - DER
 * @returns text that ends with a line feed
 *
 * @example
 * ```ts
 * import { toPem } from "@parapet/attestation";
 * console.log(toPem("X", Uint8Array.of(1)).split("\n")[1]); // => AQ==
 * ```
 *
 * Source: RFC 7468.
 */
export function toPem(label: string, bytes: Uint8Array): string {
  const lines = toBase64(bytes).match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
