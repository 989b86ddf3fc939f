import { apgd, carliniWagner, deepFool, fmn, hopSkipJump, pgd, square } from "@parapet/attacks";
import { type Attack, createRng, type Labeler, untargeted } from "@parapet/core";
import type { OnnxClassifier } from "@parapet/onnx";
import { type Digits, loadMnist, slice } from "../../examples/train-mnist/src/mnist.ts";
import { difference, openNetwork } from "../models/open.ts";
import { type AttackPeers, type Library, startAttackPeers } from "../peers/attacks.ts";
import { median, rounded } from "../statistics.ts";

export const name = "attacks";

interface Options {
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** One attack here, and with the same settings there. */
interface Contest {
  readonly name: string;
  /** Its name for the other side. */
  readonly attack: string;
  readonly norm: "l2" | "linf";
  /** Told how many queries an example Foolbox makes, for what has a number of queries instead of steps. */
  readonly ours: (queries: number) => Attack<OnnxClassifier> | Attack<Labeler>;
  readonly libraries: readonly Library[];
  readonly options: Readonly<Record<string, number>>;
}

const epsilon = 0.3;
const search = { searchSteps: 5, initialConstant: 0.01 };

const contests: readonly Contest[] = [
  {
    name: "PGD-40",
    attack: "pgd",
    norm: "linf",
    ours: () => pgd({ epsilon, steps: 40, stepSize: 0.01 }),
    libraries: ["foolbox", "torchattacks", "art"],
    options: { epsilon, steps: 40, stepSize: 0.01 },
  },
  {
    name: "APGD-100",
    attack: "apgd",
    norm: "linf",
    ours: () => apgd({ epsilon, steps: 100 }),
    libraries: ["torchattacks", "art"],
    options: { epsilon, steps: 100 },
  },
  {
    name: "Carlini-Wagner, 5 x 100",
    attack: "carliniWagner",
    norm: "l2",
    ours: () => carliniWagner({ steps: 100, stepSize: 0.01, ...search }),
    libraries: ["foolbox", "torchattacks", "art"],
    options: { steps: 100, stepSize: 0.01, ...search },
  },
  {
    name: "DeepFool-50",
    attack: "deepFool",
    norm: "l2",
    ours: () => deepFool({ steps: 50, overshoot: 0.02 }),
    libraries: ["foolbox", "torchattacks", "art"],
    options: { steps: 50, overshoot: 0.02 },
  },
  {
    name: "FMN-100",
    attack: "fmn",
    norm: "l2",
    ours: () => fmn({ steps: 100 }),
    libraries: ["foolbox"],
    options: { steps: 100 },
  },
  {
    name: "Square, 1,000 queries",
    attack: "square",
    norm: "linf",
    ours: () => square({ epsilon, queries: 1000 }),
    libraries: ["torchattacks", "art"],
    options: { epsilon, queries: 1000 },
  },
  {
    name: "HopSkipJump, 10 steps",
    attack: "hopSkipJump",
    norm: "l2",
    ours: (queries) => hopSkipJump({ queries: Math.round(queries) }),
    libraries: ["foolbox", "art"],
    options: { steps: 10, first: 100, most: 10_000 },
  },
];

const rounds = 3;
const batch = 128;
const most = 1000;

/** What one run of one contender took. */
interface Run {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly queries: number;
}

/**
 * Attacks on the PGD-trained CNN, here on onnxruntime and there on PyTorch, one thread each, in turn. Every row has as many
 * images as its slowest contender gets through in a part of PARAPET_BENCH_SECONDS (default 20, in all rounds of a row). The
 * ratio is to the fastest library: the median over the rounds of our time over the least of theirs.
 */
export async function run({ signal, log }: Options) {
  const seconds = Number(process.env.PARAPET_BENCH_SECONDS ?? 20);
  if (!(seconds > 0)) throw new RangeError(`PARAPET_BENCH_SECONDS expected > 0, got ${seconds}`);
  const peers = await startAttackPeers();
  if (peers === undefined) {
    log("without the other libraries: no Python with torch, foolbox, torchattacks and adversarial-robustness-toolbox");
    log("(PARAPET_PYTHON names one)");
  } else log(`PyTorch ${JSON.stringify(peers.versions)}`);
  const opened = await openNetwork("pgd");
  if (opened === undefined) throw new Error("bench/models/pgd.onnx is not there: bench/models/train.ts makes it");
  const { model, weights } = opened;
  const images = slice(loadMnist().test, 0, most);
  try {
    if (peers !== undefined) {
      await peers.open("small", weights, images.x, images.labels);
      const off = await difference(model, images.x, await peers.logits(images.x));
      if (off > 1e-5) throw new Error(`the logits here and there differ by ${off}`);
    }
    const rows = [];
    for (const contest of contests) {
      signal.throwIfAborted();
      rows.push(await compare(contest, model, images, peers, seconds / rounds, signal));
      log(`${contest.name}: done`);
    }
    const ratios = rows.map((row) => row["to the fastest"]).filter((ratio) => ratio !== null);
    return {
      rows,
      summary: {
        "most to the fastest": ratios.length > 0 ? Math.max(...ratios) : null,
        "as fast as the fastest on": `${ratios.filter((ratio) => ratio <= 1).length} of ${ratios.length} rows`,
        columns:
          "ms for one image, medians of the rounds; CPU: the same of processor time; queries: images shown to the network for one example",
      },
    };
  } finally {
    peers?.close();
    await model.release();
  }
}

async function compare(
  contest: Contest,
  model: OnnxClassifier,
  images: Digits,
  peers: AttackPeers | undefined,
  seconds: number,
  signal: AbortSignal,
) {
  const there =
    (library: Library) =>
    async (n: number): Promise<Run> => {
      const { attack, norm, options } = contest;
      return peers!.attack({ library, attack, norm, rows: n, batch, ...options });
    };
  let budget = 10_000;
  const here = async (n: number): Promise<Run> => {
    const { x, labels } = slice(images, 0, n);
    const attack = contest.ours(budget) as Attack<OnnxClassifier>;
    const cpu = process.cpuUsage();
    const start = performance.now();
    const { queries } = await attack(model, x, untargeted(labels), { rng: createRng(0), signal });
    const wall = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    const asked = queries.data.reduce((sum, count) => sum + count, 0) / n;
    return { seconds: wall / 1000, cpuSeconds: (user + system) / 1e6, queries: asked };
  };
  const contenders: { name: "parapet" | Library; run: (n: number) => Promise<Run>; runs: Run[] }[] = [
    { name: "parapet", run: here, runs: [] },
  ];
  if (peers !== undefined) {
    for (const library of contest.libraries) contenders.push({ name: library, run: there(library), runs: [] });
  }

  // Warm up, and see how long one image takes: the slowest says how many there will be.
  let n = most;
  for (const { name, run } of [...contenders].reverse()) {
    await run(2);
    const few = await run(8);
    n = Math.min(n, Math.max(8, Math.round((8 * seconds) / few.seconds)));
    if (name === "foolbox") budget = few.queries;
  }
  for (let round = 0; round < rounds; round++) {
    for (const { run, runs } of contenders) {
      signal.throwIfAborted();
      runs.push(await run(n));
    }
  }
  const middle = (library: string, what: keyof Run, scale: number) => {
    const runs = contenders.find(({ name }) => name === library)?.runs;
    return runs === undefined ? null : rounded(scale * median(runs.map((run) => run[what])));
  };
  const ratio = (what: "seconds" | "cpuSeconds") => {
    const [parapet, ...others] = contenders;
    if (others.length === 0) return null;
    return rounded(
      median(parapet!.runs.map((run, i) => run[what] / Math.min(...others.map(({ runs }) => runs[i]![what])))),
    );
  };
  const ms = 1000 / n;
  return {
    attack: `${contest.name}, ${contest.norm}`,
    images: n,
    parapet: middle("parapet", "seconds", ms),
    foolbox: middle("foolbox", "seconds", ms),
    torchattacks: middle("torchattacks", "seconds", ms),
    ART: middle("art", "seconds", ms),
    "to the fastest": ratio("seconds"),
    "CPU, parapet": middle("parapet", "cpuSeconds", ms),
    "CPU, to the least": ratio("cpuSeconds"),
    "queries, parapet": middle("parapet", "queries", 1),
    "queries, foolbox": middle("foolbox", "queries", 1),
    "queries, torchattacks": middle("torchattacks", "queries", 1),
    "queries, ART": middle("art", "queries", 1),
  };
}
