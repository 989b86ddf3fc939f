import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { verifyFolder } from "@parapet/model-signing/node";
import { afterAll, describe, expect, it } from "vitest";
import { hasVectors, vector } from "./helpers/vectors.ts";

// The public suite of cases for OpenSSF model signatures: vectors/oms/README.md tells how to read one.
interface Case {
  readonly method: "key" | "certificate" | "sigstore";
  readonly model: string;
  readonly model_relative_to?: "test_dir";
  readonly expect?: "fail";
  readonly expected_signed_files?: readonly string[];
  readonly verify: {
    readonly public_key?: string;
    readonly cert_chain?: readonly string[];
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

/** Why each case that must fail does fail: a case that fails for another reason tests nothing. */
const reasons: Readonly<Record<string, string>> = {
  "certificate-expired_fail": "model-signing/certificate",
  "certificate-simple-wrong-ca_fail": "model-signing/certificate",
  "key-simple-corrupted-bundle_fail": "model-signing/malformed",
  "key-simple-extra-file_fail": "model-signing/unsigned",
  "key-simple-missing-file_fail": "model-signing/missing",
  "key-simple-no-signature_fail": "model-signing/malformed",
  "key-simple-tampered-content_fail": "model-signing/changed",
  "key-simple-truncated-bundle_fail": "model-signing/malformed",
  "key-simple-wrong-key_fail": "model-signing/signature",
  "key-simple-wrong-mediatype_fail": "model-signing/unsupported",
  "key-verify-as-certificate_fail": "model-signing/signature",
  "malformed-empty-bundle_fail": "model-signing/malformed",
  "malformed-missing-envelope_fail": "model-signing/malformed",
  "malformed-wrong-payload-type_fail": "model-signing/malformed",
  "sigstore-verify-as-key_fail": "model-signing/unsupported",
  // These carry a broken signature, which is what is met first; statements.test.ts signs such ones anew.
  "malformed-empty-resources_fail": "model-signing/signature",
  "malformed-no-predicate_fail": "model-signing/signature",
  "malformed-no-subject_fail": "model-signing/signature",
  "malformed-wrong-predicate_fail": "model-signing/signature",
  "malformed-wrong-statement-type_fail": "model-signing/signature",
};

const suite = vector("conformance");
const asset = (name: string) => {
  const path = join(suite, "assets", name);
  // The suite names a key that it does not have, in a case that no key can pass.
  const other = join(suite, "assets", "keys", "certificate", "signing-key-pub.pem");
  if (!existsSync(path) && name !== "keys/ec-p256/signing-key-pub.pem") throw new Error(`the suite has no ${name}`);
  return readFileSync(existsSync(path) ? path : other, "utf8");
};
const scratch = mkdtempSync(join(tmpdir(), "conformance-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

for (const group of ["positive", "negative", "historical"]) {
  describe.skipIf(!hasVectors)(`conformance: ${group}`, () => {
    const names = hasVectors ? readdirSync(join(suite, "verify", group)) : [];
    const read = (name: string) =>
      JSON.parse(readFileSync(join(suite, "verify", group, name, "config.json"), "utf8")) as Case;
    // Signatures by an identity of Sigstore are not proven by this package.
    for (const name of names.filter((one) => read(one).method !== "sigstore")) {
      it(name, async () => {
        const given = read(name);
        const here = join(suite, "verify", group, name);
        const original = join(given.model_relative_to === "test_dir" ? here : join(suite, "assets"), given.model);
        const folder = join(scratch, name, "model");
        mkdirSync(dirname(folder), { recursive: true });
        cpSync(original, folder, { recursive: true });
        const { tamper = {}, inject = {}, delete: removed = [], symlinks = {} } = given.model_modifications ?? {};
        for (const [file, content] of Object.entries({ ...tamper, ...inject }))
          writeFileSync(join(folder, file), content);
        for (const file of removed) rmSync(join(folder, file));
        for (const [file, target] of Object.entries(symlinks)) symlinkSync(target, join(folder, file));
        // A model of one file keeps its name; a folder may have another one than when it was signed.
        const single = !readdirSync(dirname(original), { withFileTypes: true })
          .find(({ name: one }) => original.endsWith(one))
          ?.isDirectory();
        const path = single ? join(scratch, name, given.model.split("/").at(-1)!) : folder;
        if (single) cpSync(original, path);

        const { public_key, cert_chain, ignore_paths = [], ignore_unsigned_files = false } = given.verify;
        const trust = public_key !== undefined ? { keys: [asset(public_key)] } : { roots: cert_chain!.map(asset) };
        const verified = verifyFolder(path, join(here, "bundle.sig"), trust, {
          ignorePaths: ignore_paths,
          ignoreUnsignedFiles: ignore_unsigned_files,
        });
        if (given.expect === "fail") {
          await expect(verified).rejects.toMatchObject({ code: reasons[name] });
          return;
        }
        const { resources } = await verified;
        const signed = resources.map(({ name: file }) => file).sort();
        if (given.expected_signed_files !== undefined) expect(signed).toEqual([...given.expected_signed_files].sort());
      });
    }
  });
}
