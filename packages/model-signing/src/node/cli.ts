import { readFileSync, writeFileSync } from "node:fs";
import { exportPrivateKey, fromUtf8, generateKeyPair, type KeyAlgorithm, parseJson, toHex } from "@parapet/attestation";
import { readBundle } from "../bundle.ts";
import { readManifest } from "../manifest.ts";
import { readPolicy, verifyByPolicy } from "../policy.ts";
import type { Trust } from "../trust.ts";
import type { ProvenModel } from "../verify.ts";
import { needed, type Outcome, one, parse, passphraseOf, progress, signerOf, Usage, type Values } from "./cli-input.ts";
import { publish, update } from "./cli-updates.ts";
import { folderSource } from "./folder-source.ts";
import { pathInside, signFolder, verifyFolder } from "./folders.ts";
import { nodeHashers } from "./hashers.ts";

const usage = `parapet-sign: sign models, and prove whose they are

  keygen  --output KEY.pem [--algorithm p256|p384|p521]   also writes KEY.pub.pem
  sign    MODEL --key KEY.pem --output MODEL.sig [--certificates CHAIN.pem] [--ignore PATH]... [--shards BYTES] [--hash NAME]
          [--allow-symlinks] [--compat python]
  verify  MODEL --signature MODEL.sig... [--ignore PATH]... [--ignore-unsigned-files] and whom to trust, by one or more of
          --key KEY.pub.pem..., --roots ROOTS.pem..., --identity NAME --issuer URL --trusted-root trusted_root.json (Sigstore), or by
          --policy POLICY.json [--claims CLAIMS.jsonl] [--trusted-root trusted_root.json]
  inspect MODEL.sig                                       what a signature says; proves nothing
  publish SITE --key REPOSITORY.pem... [--model MODEL --signature MODEL.sig --version 1.2.0 --public-key KEY.pub.pem [--path TARGET]
          [--minimum-version 1.1.0] [--revoke 1.0.0=REASON]...] [--renew ROLE]...
                                                          a folder for any web server; without a model: signs anew what expires
  update  URL --root 1.root.json --path TARGET --folder FOLDER (--key KEY.pub.pem... | --roots ROOTS.pem...)
                                                          the newest release, proven, in a folder of its own; the previous one stays

  --json prints one JSON value. A key's passphrase comes from the environment (PARAPET_SIGN_PASSPHRASE), from standard input
  (--passphrase-stdin) or from a prompt. Exit codes: 0 done, 1 not proven or refused, 2 wrong use, 3 a file could not be read or written.

  sign-model, verify-model, capabilities: the protocol of the OpenSSF conformance suite.
`;

/**
 * The command `parapet-sign`: prints to standard output, and errors to standard error.
 *
 * @param args - what stands behind the command's name
 * @returns the exit code: 0 done, 1 not proven or refused, 2 wrong use, 3 a file could not be read or written
 *
 * @example
 * ```ts
 * import { parapetSign } from "@parapet/model-signing/node/cli";
 * console.log(await parapetSign(["verify", "no-such-model"])); // => 2
 * ```
 */
export async function parapetSign(args: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parse(args);
    const [command, ...paths] = positionals;
    if (values.help === true || command === undefined) {
      process.stdout.write(usage);
      return values.help === true ? 0 : 2;
    }
    const run = Object.hasOwn(commands, command) ? commands[command] : undefined;
    if (run === undefined) throw new Usage(`there is no command "${command}"`);
    const { lines, value } = await run(values, paths);
    process.stdout.write(
      values.json === true ? `${JSON.stringify(value)}\n` : lines.map((line) => `${line}\n`).join(""),
    );
    return 0;
  } catch (error) {
    const { code = "", message } = error as Error & { code?: string };
    const wrong =
      error instanceof Usage ||
      error instanceof RangeError ||
      error instanceof TypeError ||
      code.startsWith("ERR_PARSE_ARGS");
    const exit = wrong ? 2 : /^(model-signing|attestation)\//.test(code) ? 1 : 3;
    const json = args.includes("--json");
    if (json) process.stdout.write(`${JSON.stringify({ error: { code: code || "usage", message } })}\n`);
    else process.stderr.write(`parapet-sign: ${message}${wrong ? "\nparapet-sign --help says more" : ""}\n`);
    return exit;
  }
}

const commands: Readonly<Record<string, (values: Values, paths: readonly string[]) => Promise<Outcome>>> = {
  async keygen({ output, algorithm = "p256", unencrypted, "passphrase-stdin": piped }) {
    const path = needed(output, "--output");
    const name = ({ p256: "ecdsa-p256-sha256", p384: "ecdsa-p384-sha384", p521: "ecdsa-p521-sha512" } as const)[
      algorithm
    ];
    if (name === undefined) throw new Usage(`--algorithm expected p256, p384 or p521, got ${algorithm}`);
    const passphrase = unencrypted === true ? undefined : await passphraseOf(piped, true);
    const { privateKey, publicKey } = await generateKeyPair(
      name as Exclude<KeyAlgorithm, "ed25519" | "ed25519ph" | "ml-dsa-65">,
    );
    const pem = await exportPrivateKey(privateKey, passphrase === undefined ? { unencrypted: true } : { passphrase });
    const publicPath = path.replace(/(\.pem)?$/, ".pub.pem");
    writeFileSync(path, pem, { flag: "wx", mode: 0o600 });
    writeFileSync(publicPath, publicKey.pem, { flag: "wx" });
    const { fingerprint } = publicKey;
    return {
      lines: [`wrote ${path} (keep it secret) and ${publicPath}`, `fingerprint ${fingerprint}`],
      value: { privateKey: path, publicKey: publicPath, fingerprint },
    };
  },

  async sign(values, paths) {
    const {
      key,
      output,
      certificates,
      ignore = [],
      shards,
      hash = "sha256",
      compat,
      "allow-symlinks": allowSymlinks = false,
    } = values;
    const model = one(paths, "MODEL");
    if (compat !== undefined && compat !== "python") throw new Usage(`--compat expected python, got ${compat}`);
    if (hash !== "sha256" && hash !== "blake2b" && hash !== "blake3")
      throw new Usage(`--hash expected sha256, blake2b or blake3, got ${hash}`);
    const signer = await signerOf(one(key ?? [], "--key"), values["passphrase-stdin"]);
    const path = needed(output, "--output");
    await signFolder(model, {
      signer,
      output: path,
      ignorePaths: ignore,
      hash,
      allowSymlinks,
      ...(shards === undefined ? {} : { method: "shards", shardSize: Number(shards) }),
      ...(certificates === undefined ? {} : { certificates: readFileSync(certificates, "utf8") }),
      ...(compat === undefined ? {} : { compat }),
      onProgress: progress(values.json),
    });
    const { fingerprint } = signer.publicKey;
    return {
      lines: [`signed ${model} with the key ${fingerprint}`, `wrote ${path}`],
      value: { model, signature: path, fingerprint },
    };
  },

  async verify(values, paths) {
    const { signature = [], key = [], roots = [], policy, claims, ignore = [] } = values;
    const model = one(paths, "MODEL");
    const read = (path: string) => readFileSync(path, "utf8");
    const more = { ignoreUnsignedFiles: values["ignore-unsigned-files"] === true, onProgress: progress(values.json) };
    if (signature.length === 0) throw new Usage("--signature expected a file, got none");
    if (policy !== undefined) {
      if (key.length + roots.length > 0) throw new Usage("--policy says whom to trust: no --key or --roots beside it");
      const inside = signature.flatMap((path) => pathInside(model, path) ?? []);
      const proven = await verifyByPolicy(
        await folderSource(model),
        signature.map((path) => Uint8Array.from(readFileSync(path))),
        readPolicy(read(policy)),
        {
          ...more,
          hashers: nodeHashers,
          ignorePaths: [...ignore, ...inside],
          ...(claims === undefined ? {} : { claims: read(claims) }),
          ...(values["trusted-root"] === undefined
            ? {}
            : { keyless: (await keyless()).keylessVerifier({ trustedRoot: read(values["trusted-root"]) }) }),
        },
      );
      return provenOf(
        model,
        proven,
        proven.signers,
        proven.evidence.map(({ statement }) => statement.predicateType),
      );
    }
    const { identity } = values;
    if (key.length + roots.length === 0 && identity === undefined)
      throw new Usage("whom to trust? --key, --roots, --identity or --policy");
    const trust = { keys: key.map(read), roots: roots.map(read), ...(identity && (await identityTrust(values))) };
    const proven = await verifyFolder(model, one(signature, "--signature"), trust, { ...more, ignorePaths: ignore });
    return provenOf(model, proven, [proven.signedBy.key.fingerprint], []);
  },

  publish,
  update,

  async inspect(_, paths) {
    const { material, envelope } = readBundle(Uint8Array.from(readFileSync(one(paths, "MODEL.sig"))));
    const { resources, ...manifest } = await readManifest(envelope.payload);
    const files = resources.map(({ name, shard, digest }) => ({
      name,
      ...(shard && { shard }),
      digest: toHex(digest),
    }));
    const by = material.method === "key" ? `key ${material.hint.slice(0, 64)}` : material.method;
    return {
      lines: [
        `says: model "${manifest.name}", ${files.length} ${manifest.method}, ${manifest.hash}, root digest ${manifest.rootDigest}`,
        `by: ${by}; not proven`,
        ...files.map(({ name, digest }) => `  ${digest.slice(0, 16)}...  ${JSON.stringify(name)}`),
      ],
      value: {
        proven: false,
        signedBy: material.method,
        ...manifest,
        files,
        statement: parseJson(fromUtf8(envelope.payload)),
      },
    };
  },

  async capabilities() {
    const value = { methods: ["key", "certificate"], commands: ["sign-model", "verify-model"] };
    return { lines: [JSON.stringify(value)], value };
  },

  async "sign-model"(values) {
    const model = needed(values["model-path"], "--model-path");
    const method = values.method;
    if (method !== "key" && method !== "certificate")
      throw new Usage(`--method expected key or certificate, got ${method}`);
    const chain = [values["signing-cert"], ...(values["cert-chain"] ?? [])].filter((path) => path !== undefined);
    await signFolder(model, {
      signer: await signerOf(needed(values["private-key"], "--private-key"), false),
      output: needed(values["output-bundle"], "--output-bundle"),
      ignorePaths: insideOf(model, values["ignore-paths"]),
      ...(method === "certificate" ? { certificates: chain.map((path) => readFileSync(path, "utf8")).join("\n") } : {}),
    });
    return { lines: [], value: {} };
  },

  async "verify-model"(values) {
    const model = needed(values["model-path"], "--model-path");
    const read = (path: string) => readFileSync(path, "utf8");
    const method = values.method;
    if (method !== "key" && method !== "certificate")
      throw new Usage(`--method expected key or certificate, got ${method}`);
    const trust =
      method === "key"
        ? { keys: [read(needed(values["public-key"], "--public-key"))] }
        : { roots: (values["cert-chain"] ?? []).map(read) };
    await verifyFolder(model, needed(values.bundle, "--bundle"), trust, {
      ignorePaths: insideOf(model, values["ignore-paths"]),
      ignoreUnsignedFiles: values["ignore-unsigned-files"] === true,
    });
    return { lines: [], value: {} };
  },
};

/** Optional: it needs two packages of Sigstore. */
async function keyless() {
  try {
    return await import("./keyless.ts");
  } catch (cause) {
    throw new Usage("identities of Sigstore need npm @sigstore/verify 3.1.1 and @sigstore/bundle 4.0.0", { cause });
  }
}

async function identityTrust({ identity, issuer, "trusted-root": trustedRoot }: Values): Promise<Trust> {
  const { keylessTrust } = await keyless();
  return keylessTrust({
    trustedRoot: readFileSync(needed(trustedRoot, "--trusted-root"), "utf8"),
    identities: [{ identity: needed(identity, "--identity"), issuer: needed(issuer, "--issuer") }],
  });
}

/** The suite names ignored paths absolutely. */
const insideOf = (model: string, paths: readonly string[] = []): string[] =>
  paths.map((path) => (path.startsWith("/") ? (pathInside(model, path) ?? path) : path));

function provenOf(
  model: string,
  proven: ProvenModel,
  signers: readonly string[],
  evidence: readonly string[],
): Outcome {
  const { name, rootDigest, resources, unsigned, forms, signedBy } = proven;
  const files = [...new Set(resources.map((resource) => resource.name))];
  const { certificate, identity } = signedBy;
  const by =
    identity !== undefined
      ? ` (identity ${JSON.stringify(identity.identity)} by ${JSON.stringify(identity.issuer)})`
      : certificate === undefined
        ? ""
        : ` (certificate ${JSON.stringify(certificate.commonName)})`;
  return {
    lines: [
      `${model}: ${files.length} file${files.length === 1 ? "" : "s"} as signed by ${signers.join(", ")}${by}`,
      ...evidence.map((type) => `evidence: ${type}`),
      ...(unsigned.length > 0
        ? [`not signed, passed over: ${unsigned.map((file) => JSON.stringify(file)).join(", ")}`]
        : []),
      ...(forms.length > 0 ? [`forms of older clients: ${forms.join(", ")}`] : []),
    ],
    value: {
      proven: true,
      ...{ name, rootDigest, files, signers, evidence, unsigned, forms },
      ...(identity === undefined ? {} : { identity: identity.identity, issuer: identity.issuer }),
    },
  };
}
