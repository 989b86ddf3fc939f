// Asks the other libraries what they find on the first test images, and writes it beside this file: auto-attack.json, which
// images hold under the AutoAttack repository's own code, and minimum-norm.json, the distances that the attacks of
// contests.ts come to.
//   PARAPET_AUTOATTACK=CHECKOUT PARAPET_PYTHON=python3 \
//     node --import tsx --conditions=@parapet/source bench/models/reference.ts [standard] [fgsm] [pgd] [madry]
// CHECKOUT is a clone of https://github.com/fra31/auto-attack; Python has torch, foolbox, torchattacks, numba and
// adversarial-robustness-toolbox. What is there already is kept, unless the weights are others.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { loadMnist, slice } from "../../examples/train-mnist/src/mnist.ts";
import { type AttackPeers, type Library, startAttackPeers } from "../peers/attacks.ts";
import { type Contest, contests } from "./contests.ts";
import { difference, type NetworkName, networks, openNetwork } from "./open.ts";

/** A ball; `again` where the outcome of many images hangs on the seed: the reference is asked with another one, too. */
export interface Ball {
  readonly norm: "linf" | "l2";
  readonly epsilon: number;
  readonly again?: boolean;
  /** The first so many test images, default 1000. */
  readonly images?: number;
}

/** The balls in which each network is judged: linf 0.3 leaves nothing of the one that was not hardened, 0.1 something. */
export const balls: Readonly<Record<NetworkName, readonly Ball[]>> = {
  standard: [
    { norm: "linf", epsilon: 0.3 },
    { norm: "linf", epsilon: 0.1, again: true },
    { norm: "l2", epsilon: 1 },
  ],
  fgsm: [{ norm: "linf", epsilon: 0.3 }],
  pgd: [
    { norm: "linf", epsilon: 0.3 },
    { norm: "l2", epsilon: 1 },
  ],
  madry: [{ norm: "linf", epsilon: 0.3, images: 100 }],
};

/** What the reference found in one ball. */
export interface Reference {
  readonly network: NetworkName;
  /** SHA-256 of the weights. */
  readonly weights: string;
  readonly norm: "linf" | "l2";
  readonly epsilon: number;
  /** One digit for each of the test images: 1 where it held. */
  readonly robust: string;
  /** The same with seed 1, where it was asked. */
  readonly again?: string;
  readonly log: readonly string[];
  readonly torch: string | null;
}

export const digest = (weights: Float32Array): string =>
  createHash("sha256")
    .update(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength))
    .digest("hex");

/** What a library found in one contest. */
export interface Distances {
  readonly network: NetworkName;
  readonly weights: string;
  readonly contest: string;
  readonly library: Library;
  /** For each image; null where the attack failed. */
  readonly distance: readonly (number | null)[];
  readonly queries: number;
  readonly seconds: number;
}

const autoFile = new URL("auto-attack.json", import.meta.url);
const distanceFile = new URL("minimum-norm.json", import.meta.url);
const read = <T>(file: URL): readonly T[] => (existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : []);

/** The committed findings. */
export const references = (): readonly Reference[] => read(autoFile);
export const distances = (): readonly Distances[] => read(distanceFile);

/** The networks on which the smallest distances are compared. */
export const contested: readonly NetworkName[] = ["standard", "pgd"];

/** Puts one finding in a file, in the place of the one that `same` finds; one a line, so that changes can be seen. */
function keep<T>(file: URL, same: (one: T) => boolean, found: T): void {
  // Read again each time: another run may have written meanwhile.
  const all = [...read<T>(file).filter((one) => !same(one)), found];
  writeFileSync(file, `[\n${all.map((one) => JSON.stringify(one)).join(",\n")}\n]\n`);
}

async function askAutoAttack(peers: AttackPeers, checkout: string, network: NetworkName, weights: string) {
  for (const { norm, epsilon, again, images = 1000 } of balls[network]) {
    const same = (one: Reference) => one.network === network && one.norm === norm && one.epsilon === epsilon;
    const known = references().find((one) => same(one) && one.weights === weights);
    const ask = async (seed: number) => {
      const { robust, seconds, log } = await peers.auto({ checkout, norm, epsilon, rows: images, seed });
      const held = robust.reduce((sum, flag) => sum + flag, 0);
      console.log(`${network}, ${norm} ${epsilon}, seed ${seed}: ${held} of ${images} hold, ${Math.round(seconds)} s`);
      return { robust: robust.join(""), log };
    };
    const torch = peers.versions.torch ?? null;
    const found: Reference = known ?? { network, weights, norm, epsilon, ...(await ask(0)), torch };
    if (known === undefined) keep<Reference>(autoFile, same, found);
    if (again && found.again === undefined) {
      keep<Reference>(autoFile, same, { ...found, again: (await ask(1)).robust });
    }
  }
}

async function askLibrary(
  peers: AttackPeers,
  { name: contest, attack, norm, options, images }: Contest,
  library: Library,
  network: NetworkName,
  weights: string,
) {
  const same = (one: Distances) => one.network === network && one.contest === contest && one.library === library;
  if (distances().some((one) => same(one) && one.weights === weights)) return;
  const checkout = process.env.PARAPET_AUTOATTACK;
  try {
    const found = await peers.attack({ library, attack, norm, rows: images, batch: 128, ...options, checkout });
    const distance = found.distance.map((size) => (size === null ? null : Number(size.toPrecision(6))));
    const seconds = Math.round(found.seconds);
    const { queries } = found;
    keep<Distances>(distanceFile, same, { network, weights, contest, library, distance, queries, seconds });
    const failed = distance.filter((size) => size === null).length;
    console.log(`${network}, ${contest}, ${library}: ${failed} of ${images} failed, ${seconds} s`);
  } catch (error) {
    console.log(`${network}, ${contest}, ${library}: ${error}`);
  }
}

if (process.argv[1]?.endsWith("reference.ts")) {
  const checkout = process.env.PARAPET_AUTOATTACK;
  if (checkout === undefined) throw new Error("PARAPET_AUTOATTACK: a clone of https://github.com/fra31/auto-attack");
  const peers = await startAttackPeers();
  if (peers === undefined) throw new Error("PARAPET_PYTHON: a Python with PyTorch");
  const images = slice(loadMnist().test, 0, 1000);
  const chosen = process.argv.slice(2);
  for (const name of Object.keys(networks) as NetworkName[]) {
    if (chosen.length > 0 && !chosen.includes(name)) continue;
    const opened = await openNetwork(name);
    if (opened === undefined) continue;
    await peers.open(networks[name], opened.weights, images.x, images.labels);
    const off = await difference(opened.model, images.x, await peers.logits(images.x));
    if (off > 1e-5) throw new Error(`${name}: the logits differ by ${off}`);
    await opened.model.release();
    const weights = digest(opened.weights);
    await askAutoAttack(peers, checkout, name, weights);
    for (const contest of contested.includes(name) ? contests : []) {
      for (const library of contest.libraries) await askLibrary(peers, contest, library, name, weights);
    }
  }
  peers.close();
}
