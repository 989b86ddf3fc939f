import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { Trust } from "@parapet/model-signing";
import { verifyFolder } from "@parapet/model-signing/node";
import { keylessTrust } from "@parapet/model-signing/node/keyless";

// The public suite of cases for OpenSSF model signatures: a folder each, with config.json and bundle.sig. `assets` beside
// `verify` holds keys and models, `trust` beside the suite the root of Sigstore.

interface Config {
  readonly method: "key" | "certificate" | "sigstore";
  readonly model: string;
  readonly model_relative_to?: "test_dir";
  readonly expect?: "fail";
  readonly expected_signed_files?: readonly string[];
  readonly verify: {
    readonly public_key?: string;
    readonly cert_chain?: readonly string[];
    readonly identity?: string;
    readonly identity_provider?: string;
    readonly ignore_paths?: readonly string[];
    readonly ignore_unsigned_files?: boolean;
  };
  readonly model_modifications?: {
    readonly tamper?: Readonly<Record<string, string>>;
    readonly inject?: Readonly<Record<string, string>>;
    readonly delete?: readonly string[];
    readonly symlinks?: Readonly<Record<string, string>>;
  };
}

/** One case. */
export interface Case {
  readonly name: string;
  readonly group: string;
  readonly folder: string;
  readonly config: Config;
}

/** The cases of a suite, all of them. */
export function casesOf(suite: string): readonly Case[] {
  const folders = (path: string) => readdirSync(path).filter((name) => statSync(join(path, name)).isDirectory());
  return folders(join(suite, "verify")).flatMap((group) =>
    folders(join(suite, "verify", group)).flatMap((name) => {
      const folder = join(suite, "verify", group, name);
      const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as Config;
      return [{ name, group, folder, config }];
    }),
  );
}

/** A key that the suite names and does not have, in a case that no key can pass: any other one will do. */
const absent = "keys/ec-p256/signing-key-pub.pem";

/** The root of the public Sigstore, as it lies beside a suite or in it. */
export function trustedRootOf(suite: string): Uint8Array {
  const name = join("trust", "sigstore_trusted_root.json");
  const path = [join(suite, "..", name), join(suite, name)].find((one) => existsSync(one));
  if (path === undefined) throw new Error(`the suite has no ${name}`);
  return Uint8Array.from(readFileSync(path));
}

function trustOf(suite: string, { method, verify }: Config, asset: (name: string) => string): Trust {
  const { public_key, cert_chain = [], identity, identity_provider: issuer } = verify;
  if (method === "sigstore") {
    if (identity === undefined || issuer === undefined) throw new Error("the case names no identity");
    return keylessTrust({ trustedRoot: trustedRootOf(suite), identities: [{ identity, issuer }] });
  }
  return public_key === undefined ? { roots: cert_chain.map(asset) } : { keys: [asset(public_key)] };
}

/** Verifies a copy of a case's model. Rejects with what was refused; a file that the suite lacks is an error of the run. */
export async function verifyCase(suite: string, { folder, config }: Case): Promise<readonly string[]> {
  const scratch = mkdtempSync(join(tmpdir(), "conformance-"));
  const asset = (name: string) => {
    const path = join(suite, "assets", name === absent ? "keys/certificate/signing-key-pub.pem" : name);
    if (!existsSync(path)) throw new Error(`the suite has no ${name}`);
    return readFileSync(path, "utf8");
  };
  try {
    const original = join(config.model_relative_to === "test_dir" ? folder : join(suite, "assets"), config.model);
    if (!existsSync(original)) throw new Error(`the suite has no ${config.model}`);
    const model = join(scratch, basename(original));
    cpSync(original, model, { recursive: true });
    const { tamper = {}, inject = {}, delete: removed = [], symlinks = {} } = config.model_modifications ?? {};
    for (const [file, content] of Object.entries({ ...tamper, ...inject })) {
      mkdirSync(dirname(join(model, file)), { recursive: true });
      writeFileSync(join(model, file), content);
    }
    for (const file of removed) rmSync(join(model, file));
    for (const [file, target] of Object.entries(symlinks)) symlinkSync(target, join(model, file));
    const { ignore_paths = [], ignore_unsigned_files = false } = config.verify;
    const { resources } = await verifyFolder(model, join(folder, "bundle.sig"), trustOf(suite, config, asset), {
      ignorePaths: ignore_paths,
      ignoreUnsignedFiles: ignore_unsigned_files,
    });
    return resources.map(({ name }) => name).sort();
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
