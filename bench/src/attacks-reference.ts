import { autoAttack } from "@parapet/attacks";
import { type Attack, accuracy, createRng, type NdArray, takeRows, untargeted } from "@parapet/core";
import type { OnnxClassifier } from "@parapet/onnx";
import { type Digits, loadMnist, slice } from "../../examples/train-mnist/src/mnist.ts";
import { type Contest, contests } from "../models/contests.ts";
import { difference, type NetworkName, networks, openNetwork } from "../models/open.ts";
import {
  type Ball,
  balls,
  contested,
  type Distances,
  digest,
  distances,
  type Reference,
  references,
} from "../models/reference.ts";
import { type AttackPeers, startAttackPeers } from "../peers/attacks.ts";
import { median, rounded } from "../statistics.ts";
import { formatTable } from "../table.ts";

export const name = "attacks-reference";

interface Options {
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

const fine = (value: number): number => Number(value.toPrecision(4));

interface Network {
  readonly name: NetworkName;
  readonly model: OnnxClassifier;
  readonly weights: string;
}

/**
 * What our attacks find on the first test images, beside what the AutoAttack repository, Foolbox, torchattacks and ART find on
 * the same weights. Theirs is read from bench/models; PARAPET_AUTOATTACK, a clone of https://github.com/fra31/auto-attack,
 * makes the first part ask it again. Each image that ours breaks and the reference does not is shown to PyTorch.
 * PARAPET_BENCH_IMAGES (default 1000) makes it quicker, PARAPET_BENCH_NETWORKS ("pgd,fgsm") chooses.
 */
export async function run({ signal, log }: Options) {
  const images = Number(process.env.PARAPET_BENCH_IMAGES ?? 1000);
  if (!(Number.isInteger(images) && images >= 1 && images <= 1000)) {
    throw new RangeError(`PARAPET_BENCH_IMAGES expected a whole number from 1 to 1000, got ${images}`);
  }
  const checkout = process.env.PARAPET_AUTOATTACK;
  const peers = await startAttackPeers();
  if (peers === undefined) log("without PyTorch: no Python with torch (PARAPET_PYTHON names one)");
  if (checkout === undefined) {
    log("the reference's figures are those of bench/models/auto-attack.json; to run it again:");
    log("git clone https://github.com/fra31/auto-attack, and PARAPET_AUTOATTACK=that folder");
  }
  const test = slice(loadMnist().test, 0, images);
  const chosen = process.env.PARAPET_BENCH_NETWORKS?.split(",") ?? Object.keys(networks);
  const rows: Awaited<ReturnType<typeof compare>>[] = [];
  const smallest: Awaited<ReturnType<typeof contend>> = [];
  try {
    for (const network of Object.keys(networks).filter((one) => chosen.includes(one)) as NetworkName[]) {
      const opened = await openNetwork(network);
      if (opened === undefined) {
        log(`${network}: left out, bench/models/train.ts makes its weights`);
        continue;
      }
      const one = { name: network, model: opened.model, weights: digest(opened.weights) };
      try {
        if (peers !== undefined) {
          await peers.open(networks[network], opened.weights, test.x, test.labels);
          const off = await difference(opened.model, test.x, await peers.logits(test.x));
          if (off > 1e-5) throw new Error(`${network}: the logits here and in PyTorch differ by ${off}`);
        }
        for (const ball of balls[network]) {
          rows.push(await compare(one, ball, test, peers, checkout, signal, log));
          log(JSON.stringify(rows.at(-1)));
        }
        for (const contest of contested.includes(network) ? contests : []) {
          const found = distances().filter((other) => other.contest === contest.name && other.network === network);
          for (const line of await contend(one, contest, found, test, signal)) {
            smallest.push(line);
            log(JSON.stringify(line));
          }
        }
      } finally {
        await opened.model.release();
      }
    }
  } finally {
    peers?.close();
  }
  log(`\n${formatTable(smallest)}`);
  const worst = (equal: boolean) =>
    Math.max(
      ...smallest.flatMap(({ "equal queries": queries, ratio }) =>
        queries === (equal ? "yes" : "") && ratio !== null && !Number.isNaN(ratio) ? [ratio] : [],
      ),
    );
  return {
    rows,
    summary: {
      "robust accuracy above the reference's, most points": most(rows, "points above"),
      "broken by the reference alone, most": most(rows, "reference alone"),
      "broken by ours alone and not confirmed": rows.reduce((sum, row) => sum + (row.unconfirmed ?? 0), 0),
      "median distance to the best, most, equal steps": worst(false),
      "median distance to the best, most, equal queries": worst(true),
      smallest,
    },
  };
}

/** Without the rows whose outcome hangs on the seed: there the reference is as far from itself. */
const most = (rows: readonly Readonly<Record<string, unknown>>[], column: string): number =>
  Math.max(0, ...rows.flatMap((row) => (row["reference, two seeds"] === "" ? [(row[column] as number) ?? 0] : [])));

/** Robust accuracy in one ball. */
async function compare(
  { name: network, model, weights }: Network,
  { norm, epsilon, again, images = 1000 }: Ball,
  all: Digits,
  peers: AttackPeers | undefined,
  checkout: string | undefined,
  signal: AbortSignal,
  log: (line: string) => void,
) {
  const n = Math.min(images, all.labels.length);
  const { x, labels } = slice(all, 0, n);
  const committed = references().find(
    (one) => one.network === network && one.norm === norm && one.epsilon === epsilon && one.weights === weights,
  );
  const asked =
    checkout !== undefined && peers !== undefined ? await peers.auto({ checkout, norm, epsilon, rows: n }) : undefined;
  const theirs = asked?.robust ?? (committed && [...committed.robust].slice(0, n).map(Number));

  const start = performance.now();
  const onMember = ({ member, broken }: { member: string; broken: Int32Array }) =>
    log(`${network}, ${norm} ${epsilon}: ${member} breaks ${broken.length}`);
  const attack = autoAttack({ norm, epsilon, onMember });
  const { adversarial, success, distance } = await attack(model, x, untargeted(labels), { rng: createRng(0), signal });
  const seconds = (performance.now() - start) / 1000;
  const held = success.data.filter((broken) => broken === 0).length;
  const rows = Int32Array.from(labels, (_, i) => i);
  const ours = rows.filter((i) => theirs?.[i] === 1 && success.data[i] === 1);
  const alone = rows.filter((i) => theirs?.[i] === 0 && success.data[i] === 0);
  const other = theirs?.reduce((sum, flag) => sum + flag, 0);
  return {
    network,
    ball: `${norm} ${epsilon}`,
    images: n,
    clean: accuracy(await model.labels(x), labels).count,
    parapet: held,
    reference: other ?? null,
    "points above": other === undefined ? null : rounded((100 * (held - other)) / n),
    "reference alone": theirs === undefined ? null : alone.length,
    "ours alone": theirs === undefined ? null : ours.length,
    "reference, two seeds": again ? disagreement(committed, n) : "",
    unconfirmed: peers === undefined ? null : await unconfirmed(peers, adversarial, labels, distance, epsilon, ours),
    seconds: Math.round(seconds),
  };
}

/** Images that the reference breaks with one seed only, and with the other only. */
function disagreement(found: Reference | undefined, n: number): string {
  const { robust = "", again = "" } = found ?? {};
  const only = (a: string, b: string) => [...a.slice(0, n)].filter((flag, i) => flag === "0" && b[i] === "1").length;
  return again === "" ? "" : `${only(robust, again)} and ${only(again, robust)}`;
}

/** Of the images `rows`, how many PyTorch gets right, or lie outside the ball or the bounds. */
async function unconfirmed(
  peers: AttackPeers,
  adversarial: NdArray,
  labels: Int32Array,
  distance: NdArray,
  epsilon: number,
  rows: Int32Array,
): Promise<number> {
  if (rows.length === 0) return 0;
  const points = takeRows(adversarial, rows);
  const logits = await peers.logits(points);
  const outside = points.data.some((value) => !(value >= 0 && value <= 1));
  return rows.filter((row, i) => {
    const scores = logits[i]!;
    const wrong = scores.indexOf(Math.max(...scores)) !== labels[row];
    return !wrong || outside || distance.data[row]! > epsilon * (1 + 1e-6);
  }).length;
}

/** Medians of the smallest distances; failures are infinite. */
async function contend(
  { name: network, model, weights }: Network,
  { name, ours, images, libraries, equalQueries }: Contest,
  findings: readonly Distances[],
  test: Digits,
  signal: AbortSignal,
) {
  const found = findings.filter((one) => one.weights === weights && libraries.includes(one.library));
  const n = Math.min(images, test.labels.length);
  const { x, labels } = slice(test, 0, n);
  const middle = (values: readonly (number | null)[]) =>
    median(values.slice(0, n).map((size) => size ?? Number.POSITIVE_INFINITY));
  const attacked = async (queries: number) => {
    const attack = ours(queries) as Attack<OnnxClassifier>;
    const start = performance.now();
    const result = await attack(model, x, untargeted(labels), { rng: createRng(0), signal });
    const sizes = Array.from(result.distance.data, (size, i) => (result.success.data[i] === 1 ? size : null));
    const asked = result.queries.data.reduce((sum, count) => sum + count, 0) / n;
    return { sizes, asked, seconds: (performance.now() - start) / 1000 };
  };
  const line = (mine: Awaited<ReturnType<typeof attacked>>, others: readonly Distances[]) => {
    const medians = others.map(({ distance }) => middle(distance));
    const best = medians.length === 0 ? undefined : Math.min(...medians);
    const closest = others[medians.indexOf(best!)]?.distance
      .slice(0, n)
      .map((size) => size ?? Number.POSITIVE_INFINITY);
    const nearer = (a: readonly (number | null)[], b: readonly (number | null)[]) =>
      a.filter((size, i) => (size ?? Number.POSITIVE_INFINITY) < 0.999 * (b[i] ?? Number.POSITIVE_INFINITY)).length;
    const said = (library: string) => {
      const one = others.find((other) => other.library === library);
      return one === undefined ? null : fine(middle(one.distance));
    };
    return {
      network,
      attack: name,
      images: n,
      "equal queries": equalQueries ? "yes" : "",
      parapet: fine(middle(mine.sizes)),
      failed: mine.sizes.filter((size) => size === null).length,
      foolbox: said("foolbox"),
      torchattacks: said("torchattacks"),
      ART: said("art"),
      AutoAttack: said("auto-attack"),
      ratio: best === undefined ? null : fine(middle(mine.sizes) / best),
      "nearer than the best": closest === undefined ? null : nearer(mine.sizes, closest),
      farther: closest === undefined ? null : nearer(closest, mine.sizes),
      queries: Math.round(mine.asked),
      "theirs, least": others.length === 0 ? null : Math.round(Math.min(...others.map(({ queries }) => queries))),
      seconds: rounded(mine.seconds),
    };
  };
  if (!equalQueries) return [line(await attacked(0), found)];
  const lines = [];
  for (const other of found) lines.push(line(await attacked(other.queries), [other]));
  return lines;
}
