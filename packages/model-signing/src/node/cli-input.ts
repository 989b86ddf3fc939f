import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { createSigner, type Signer } from "@parapet/attestation";

/** The command was called in a way that it does not have. */
export class Usage extends Error {}

const strings = { type: "string", multiple: true } as const;
const flag = { type: "boolean" } as const;
const options = {
  key: strings,
  roots: strings,
  signature: strings,
  policy: { type: "string" },
  claims: { type: "string" },
  issuer: { type: "string" },
  "trusted-root": { type: "string" },
  output: { type: "string" },
  algorithm: { type: "string" },
  certificates: { type: "string" },
  ignore: strings,
  shards: { type: "string" },
  hash: { type: "string" },
  compat: { type: "string" },
  "allow-symlinks": flag,
  "ignore-unsigned-files": flag,
  "passphrase-stdin": flag,
  unencrypted: flag,
  model: { type: "string" },
  version: { type: "string" },
  path: { type: "string" },
  "minimum-version": { type: "string" },
  revoke: strings,
  renew: strings,
  root: { type: "string" },
  folder: { type: "string" },
  json: flag,
  help: flag,
  // Of the conformance suite.
  method: { type: "string" },
  "model-path": { type: "string" },
  "output-bundle": { type: "string" },
  bundle: { type: "string" },
  "private-key": { type: "string" },
  "public-key": { type: "string" },
  "signing-cert": { type: "string" },
  "cert-chain": strings,
  "ignore-paths": strings,
  identity: { type: "string" },
  "identity-provider": { type: "string" },
  "identity-token": { type: "string" },
  "use-staging": flag,
} as const;

/** What stands behind the names of options. */
export type Values = ReturnType<typeof parse>["values"];
export const parse = (args: readonly string[]) =>
  parseArgs({ args: [...args], options, allowPositionals: true, strict: true });

/** What a command says: to people, and with `--json`. */
export interface Outcome {
  readonly lines: readonly string[];
  readonly value: unknown;
}

export function needed(value: string | undefined, name: string): string {
  if (value === undefined) throw new Usage(`${name} is needed`);
  return value;
}

export function one(values: readonly string[], name: string): string {
  const [value, ...others] = values;
  if (value === undefined || others.length > 0) throw new Usage(`${name} expected once, got ${values.length} times`);
  return value;
}

export async function signerOf(path: string, piped: boolean | undefined): Promise<Signer> {
  const pem = readFileSync(path, "utf8");
  const passphrase = pem.includes("ENCRYPTED") ? await passphraseOf(piped, false) : undefined;
  return createSigner(pem, passphrase === undefined ? {} : { passphrase });
}

/** From the environment, from standard input where that was asked for, or from a person; never from the command line. */
export async function passphraseOf(piped: boolean | undefined, twice: boolean): Promise<string> {
  const given =
    piped === true ? (await text(process.stdin)).replace(/\r?\n$/, "") : process.env.PARAPET_SIGN_PASSPHRASE;
  if (given !== undefined && given !== "") return given;
  if (!process.stdin.isTTY) {
    throw new Usage(
      "a passphrase is needed: PARAPET_SIGN_PASSPHRASE, --passphrase-stdin or a terminal (keygen: or --unencrypted)",
    );
  }
  const ask = async (question: string) => {
    process.stderr.write(question);
    const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
    const reader = createInterface({ input: process.stdin, output: silent, terminal: true });
    try {
      return await reader.question("");
    } finally {
      reader.close();
      process.stderr.write("\n");
    }
  };
  const first = await ask("passphrase: ");
  if (first === "") throw new Usage("a passphrase is needed, got none");
  if (twice && (await ask("again: ")) !== first) throw new Usage("the passphrases differ");
  return first;
}

/** One line on a terminal, for models that take a while. */
export function progress(json: boolean | undefined) {
  let last = performance.now();
  return ({ done, total, file }: { done: number; total: number; file: string }) => {
    if (json === true || !process.stderr.isTTY || (performance.now() - last < 200 && done < total)) return;
    last = performance.now();
    process.stderr.write(
      done === total ? "\r\x1b[K" : `\r\x1b[K${Math.floor((100 * done) / Math.max(1, total))} %  ${file.slice(0, 60)}`,
    );
  };
}
