import { toUtf8 } from "@parapet/attestation";
import { createRng, ParapetError, type Rng } from "@parapet/core";
import { beforeAll, describe, expect, it } from "vitest";
import { readRoot, readSnapshot, readTargets, readTimestamp } from "../src/updates/metadata.ts";
import { Client, Simulator, testKey } from "./helpers/update-simulator.ts";

// Good metadata, changed: a typed error or a value, quickly; and whatever a client takes over was signed.
const runs = Number(process.env.PARAPET_FUZZ ?? 1500);
let repo: Simulator;
const readers = { root: readRoot, timestamp: readTimestamp, snapshot: readSnapshot, targets: readTargets };
type Role = keyof typeof readers;
const roles = Object.keys(readers) as Role[];

beforeAll(async () => {
  repo = await Simulator.create(await Promise.all(Array.from({ length: 6 }, () => testKey())));
  repo.hashes = true;
  await repo.addArtifact("targets", "content", "file", ["sha256", "sha512"]);
  repo.bodies.targets.targets.file.custom = { model: { name: "digits", list: [1, null, true] } };
  repo.delegate("targets", "a", { paths: ["a/*", "?"] });
  repo.delegate("targets", "b", { path_hash_prefixes: ["0", "ab"] });
  await repo.publish(["a", "b", "targets", "snapshot", "timestamp", "root"]);
});

const odd = [
  null,
  true,
  -1,
  0,
  1.5,
  2 ** 53,
  1e300,
  "",
  "\ud800",
  "__proto__",
  "x".repeat(5000),
  [],
  {},
  [[]],
  { a: 1 },
];

/** Bytes changed, cut, doubled or put elsewhere; or the text's values exchanged for odd ones. */
function changed(source: Uint8Array, rng: Rng): Uint8Array {
  const pick = (below: number) => Math.floor(rng.next() * below);
  if (rng.next() < 0.5) {
    const value = JSON.parse(new TextDecoder().decode(source));
    for (let edits = 1 + pick(3); edits > 0; edits--) edit(value, pick);
    return new TextEncoder().encode(JSON.stringify(value));
  }
  const bytes = Array.from(source);
  for (let edits = 1 + pick(4); edits > 0; edits--) {
    const at = pick(bytes.length + 1);
    const kind = pick(5);
    if (kind === 0) bytes[at % Math.max(1, bytes.length)] = pick(256);
    else if (kind === 1) bytes.splice(at, rng.next() < 0.2 ? bytes.length : pick(8));
    else if (kind === 2) bytes.splice(at, 0, ...Array.from({ length: pick(8) }, () => pick(256)));
    else if (kind === 3) bytes.splice(at, 0, ...bytes.slice(pick(bytes.length + 1)).slice(0, pick(1000)));
    else if (bytes.length > 0) bytes[at % bytes.length]! ^= 1 << pick(8);
  }
  return Uint8Array.from(bytes);
}

function edit(value: Record<string, unknown>, pick: (below: number) => number): void {
  let at = value;
  for (;;) {
    const names = Object.keys(at);
    if (names.length === 0) return;
    const name = names[pick(names.length)]!;
    const inner = at[name];
    if (typeof inner === "object" && inner !== null && pick(4) > 0) {
      at = inner as Record<string, unknown>;
      continue;
    }
    const kind = pick(4);
    if (kind === 0) delete at[name];
    else if (kind === 1) at[String(odd[pick(odd.length)])] = inner;
    else at[name] = structuredClone(odd[pick(odd.length)]);
    return;
  }
}

describe("hostile metadata", () => {
  it.each(roles)(
    "%s is read or refused with a typed error",
    async (role) => {
      const rng = createRng(21).derive(role);
      const good = repo.published[role]!.at(-1)!;
      await readers[role](good);
      const others: unknown[] = [];
      let read = 0;
      let slowest = 0;
      for (let i = 0; i < runs; i++) {
        const before = performance.now();
        try {
          await readers[role](changed(good, rng));
          read++;
        } catch (error) {
          const typed = error instanceof ParapetError && error.code.startsWith("model-signing/update-");
          if (!typed || error.message.length > 1000) others.push(error);
        }
        slowest = Math.max(slowest, performance.now() - before);
      }
      expect(others).toEqual([]);
      expect(read).toBeLessThan(runs);
      expect(slowest).toBeLessThan(2000);
    },
    3_600_000,
  );

  it("a client takes over nothing that was not signed, and always with a typed error", async () => {
    const rng = createRng(22);
    const client = new Client(repo);
    expect(await client.refresh()).toBe("ok");
    const payload = (bytes: Uint8Array) => JSON.stringify(JSON.parse(new TextDecoder().decode(bytes)).signed);
    const signed = new Set(roles.flatMap((role) => repo.published[role]!.map(payload)));
    let refused = 0;
    for (let i = 0; i < runs; i++) {
      const role = roles[i % roles.length]!;
      const bytes = changed(repo.published[role]!.at(-1)!, rng);
      const fresh = new Client(repo);
      fresh.more = {
        fetcher: async ({ kind, path }) => {
          const wanted = path.replace(/^\d+\./, "") === `${role}.json` && (role !== "root" || path.startsWith("2."));
          const answer = wanted ? bytes : repo.file(kind, path);
          return (
            answer &&
            (async function* () {
              yield answer;
            })()
          );
        },
      };
      if ((await fresh.refresh()) !== "ok") refused++;
      for (const name of ["root", "timestamp", "snapshot", "targets"]) {
        const kept = await fresh.store.read(`${name}.json`);
        // What is kept may differ in blanks and signatures only: those are not signed.
        if (kept !== undefined && !signed.has(payload(kept))) throw new Error(`${name} was taken over`);
      }
    }
    expect(refused).toBeGreaterThan(runs / 2);
  }, 3_600_000);

  it("odd texts", async () => {
    for (const text of [
      "",
      "null",
      "[]",
      "{}",
      '{"signed":{}}',
      '{"signatures":[],"signed":null}',
      "1e999",
      '"\\ud800"',
    ]) {
      for (const role of roles) {
        await expect(readers[role](toUtf8(text))).rejects.toMatchObject({ code: "model-signing/update-malformed" });
      }
    }
  });
});
