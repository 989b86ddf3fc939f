import {
  type Attack,
  checkNorm,
  checkNumber,
  createPacer,
  expected,
  type Goal,
  type NdArray,
  type Norm,
  type Rng,
  sampleInBall,
  takeRows,
} from "@parapet/core";
import { type ImageGeometry, type ImageLayout, imageGeometry } from "./shared/image.ts";
import { openRun, type Run, range } from "./shared/run.ts";
import { Findings, threatModel } from "./shared/threat-model.ts";

/** Options of `momentumPgd`. */
export interface MomentumPgdOptions {
  /** Radius of the ball, in the units of the model's inputs; >= 0. */
  readonly epsilon: number;
  /** Default "linf". */
  readonly norm?: Norm;
  /** Number of steps, default 10. */
  readonly steps?: number;
  /** Length of each step; default `epsilon / steps`. */
  readonly stepSize?: number;
  /** What is left of the old direction after a step, default 1; 0 for no memory. */
  readonly decay?: number;
  /** Take the gradient where the momentum would lead. Default false. */
  readonly nesterov?: boolean;
  /** Diverse inputs: the gradient is taken at an image shrunk and padded at random. Images only. */
  readonly diversity?: {
    /** Of doing so, in each step and example; default 0.5. */
    readonly probability?: number;
    /** Height and width shrink to a share drawn from [smallest, 1); in (0, 1), default 0.9. */
    readonly smallest?: number;
  };
  /** Translation invariance: the gradient is smoothed by a kernel. Images only. */
  readonly translation?: {
    /** Default "gaussian", with a standard deviation of a sixth of the size. */
    readonly kernel?: "gaussian" | "linear" | "uniform";
    /** Pixels along each axis, odd; default 15. */
    readonly size?: number;
  };
  /** Scale invariance: the gradient is the mean over this many copies `x / 2^i`; default 1, Lin et al. take 5. */
  readonly scales?: number;
  /** Variance tuning: the last step's gradient is corrected by its mean over the neighbourhood. */
  readonly variance?: {
    /** Points of the neighbourhood, each one gradient more (times `scales`); default 5, the paper takes 20. */
    readonly samples?: number;
    /** Radius of the neighbourhood, as a multiple of epsilon; default 1.5. */
    readonly beta?: number;
  };
  /** Where the channels are; guessed from the shape by default (last if the last axis has 1, 3 or 4, else first). */
  readonly layout?: ImageLayout;
  /** Examples in one call of the model, times `scales`; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * Momentum PGD (MI-FGSM) and the family of attacks made to transfer from one model to another:
 * `v <- decay v + g / |g|`, `x <- clip(project(x + stepSize * argmax{<v, d> : ||d|| <= 1}))`, where g is the gradient of
 * the goal's loss, or of what the options make of it. `|g|` is the mean magnitude for linf, else the norm itself.
 *
 * All steps are made from the example itself; the last point is the result, or the example where that reaches the goal
 * and the last point does not. Options combine: with all of them each gradient is the mean over scaled, diverse copies,
 * at a point ahead, corrected by the neighbourhood's variance, and smoothed.
 *
 * @param options - ball, steps, and the means of transfer
 * @returns an attack on models with gradients; `steps * scales * (1 + samples)` gradients an example (the last step has
 *   no neighbourhood), and 1 or 2 queries more
 * @throws RangeError or TypeError when an option is out of range; on use, when an option for images meets another shape
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { momentumPgd } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const attack = momentumPgd({ epsilon: 0.4, nesterov: true, scales: 3, variance: { samples: 4 } });
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { success } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(success.data[0]); // => 1
 * ```
 *
 * Source: Y. Dong et al., "Boosting Adversarial Attacks with Momentum", 2018, https://arxiv.org/abs/1710.06081, algorithm
 * 1; C. Xie et al. (diverse inputs), 2019, https://arxiv.org/abs/1803.06978, equation 6; Y. Dong et al. (translation),
 * 2019, https://arxiv.org/abs/1904.02884, equation 7; J. Lin et al. (Nesterov, scale), 2020,
 * https://arxiv.org/abs/1908.06281, algorithm 1; X. Wang and K. He (variance), 2021, https://arxiv.org/abs/2103.15571,
 * algorithm 1. Differences from the papers: l1 and l2 besides linf; the look-ahead and the neighbours are clipped to the
 * bounds; copies shrink towards the lower bound, which is 0 in the papers; diverse inputs shrink, since a model has one
 * input shape, and are padded with the lower bound; the mean magnitude stands for the l1 norm, as in the authors' code.
 */
export function momentumPgd(options: MomentumPgdOptions): Attack {
  const { epsilon, norm = "linf", steps = 10, decay = 1, nesterov = false, scales = 1, batchSize = 128 } = options;
  checkNorm(norm);
  checkNumber("epsilon", epsilon, { min: 0 });
  checkNumber("steps", steps, { min: 1, integer: true });
  const { stepSize = epsilon / steps, diversity, translation, variance, layout } = options;
  checkNumber("stepSize", stepSize, { min: 0 });
  checkNumber("decay", decay, { min: 0 });
  checkNumber("scales", scales, { min: 1, max: 30, integer: true });
  checkNumber("batchSize", batchSize, { min: 1, integer: true });
  const { probability = 0.5, smallest = 0.9 } = diversity ?? {};
  checkNumber("diversity.probability", probability, { min: 0, max: 1 });
  checkNumber("diversity.smallest", smallest, { above: 0, below: 1 });
  const taps = translation && kernelOf(translation.kernel ?? "gaussian", translation.size ?? 15);
  const { samples = 5, beta = 1.5 } = variance ?? {};
  checkNumber("variance.samples", samples, { min: 1, integer: true });
  checkNumber("variance.beta", beta, { min: 0 });
  const neighbours = variance === undefined ? 0 : samples;

  return async (model, input, goal, context) => {
    const run = openRun("momentumPgd", model, input, goal, context);
    const threat = threatModel(model, input, goal, context, { norm, epsilon });
    const findings = new Findings(run.x);
    const image = diversity || translation ? imageGeometry(model.inputShape, layout) : undefined;
    const pace = createPacer(run.signal);
    const total = run.n * steps;

    for (let from = 0; from < run.n; from += batchSize) {
      const rows = range(from, Math.min(run.n, from + batchSize));
      const local = goal.take(rows);
      const size = rows.length * run.width;
      const velocity = new Float32Array(size);
      const tuning = new Float32Array(size);
      const diverse = diversity && Array.from(rows, (row) => run.rng(row, "diversity"));
      const near = variance && Array.from(rows, (row) => run.rng(row, "variance"));
      const averaged = copies(run, local, rows, scales, image, diverse, probability, smallest);
      let salt = 0;
      let current = threat.allow(rows, takeRows(run.x, rows));
      for (let step = 0; step < steps; step++) {
        await pace();
        let ahead = current;
        if (nesterov) {
          const data = current.data.map((value, at) => value + stepSize * decay * velocity[at]!);
          ahead = run.allow(data, rows);
        }
        const gradient = await averaged(ahead, ++salt);
        const direction = gradient.map((value, at) => value + tuning[at]!);
        // What the neighbourhood says is for the next step: after the last one nobody asks.
        if (near !== undefined && step < steps - 1) {
          tuning.fill(0);
          for (let i = 0; i < neighbours; i++) {
            const { data } = sampleInBall(current.shape, norm, beta * epsilon, (row) => near[row]!);
            for (let at = 0; at < size; at++) data[at]! += ahead.data[at]!;
            const other = await averaged(run.allow(data, rows), ++salt);
            for (let at = 0; at < size; at++) tuning[at]! += other[at]! / neighbours;
          }
          for (let at = 0; at < size; at++) tuning[at]! -= gradient[at]!;
        }
        if (taps !== undefined) smooth(direction, image!, taps);
        accumulate(velocity, direction, decay, norm, rows.length);
        current = threat.step(rows, current, { ...current, data: velocity }, stepSize);
        run.progress(from * steps + rows.length * (step + 1), total);
      }
      await judge(run, local, rows, current, findings);
    }
    return {
      ...findings.result(norm),
      queries: { dtype: "int32", shape: [run.n], data: run.queries },
      gradients: { dtype: "int32", shape: [run.n], data: run.gradients },
    };
  };
}

/** A fresh look at the last points, and at the examples themselves where those fail. */
async function judge(run: Run, local: Goal, rows: Int32Array, points: NdArray, findings: Findings): Promise<void> {
  const logits = await run.logits(points, rows);
  const reached = local.isReached(logits).data;
  const value = local.loss.value(logits).data;
  rows.forEach((row, i) => {
    findings.offer(row, points, i, reached[i] === 1, value[i]!);
  });
  const open = range(0, rows.length).filter((i) => reached[i] === 0);
  if (open.length === 0) return;
  const ids = open.map((i) => rows[i]!);
  const unmoved = takeRows(run.x, ids);
  const already = local.take(open).isReached(await run.logits(unmoved, ids)).data;
  ids.forEach((row, i) => {
    if (already[i] === 1) findings.offer(row, unmoved, i, true, 0);
  });
}

/** The gradient as the mean over scaled copies, each seen through a random shrinking; all copies in one call. */
function copies(
  run: Run,
  local: Goal,
  rows: Int32Array,
  scales: number,
  image: ImageGeometry | undefined,
  diverse: readonly Rng[] | undefined,
  probability: number,
  smallest: number,
): (points: NdArray, salt: number) => Promise<Float32Array> {
  const { width, lower } = run;
  const m = rows.length;
  const which = Int32Array.from({ length: m * scales }, (_, i) => i % m);
  const ids = which.map((i) => rows[i]!);
  const loss = scales === 1 ? local.loss : local.loss.take(which);
  const moved = new Float32Array(width);
  return async (points, salt) => {
    const data = new Float32Array(m * scales * width);
    const maps: (Int32Array | undefined)[] = [];
    for (let i = 0; i < m * scales; i++) {
      const from = (i % m) * width;
      const share = 2 ** -Math.floor(i / m);
      for (let j = 0; j < width; j++) {
        const low = lower[j]!;
        data[i * width + j] = share === 1 ? points.data[from + j]! : low + share * (points.data[from + j]! - low);
      }
      const map = diverse && shrinking(image!, diverse[i % m]!, probability, smallest);
      maps.push(map);
      if (map === undefined) continue;
      for (let j = 0; j < width; j++) moved[j] = map[j]! < 0 ? lower[j]! : data[i * width + map[j]!]!;
      data.set(moved, i * width);
    }
    const shape = [m * scales, ...points.shape.slice(1)];
    const { gradient } = await run.gradient({ dtype: "float32", shape, data }, ids, loss, salt);
    const mean = new Float32Array(m * width);
    for (let i = 0; i < m * scales; i++) {
      const to = (i % m) * width;
      const share = 2 ** -Math.floor(i / m) / scales;
      const map = maps[i];
      for (let j = 0; j < width; j++) {
        const at = map === undefined ? j : map[j]!;
        if (at >= 0) mean[to + at]! += share * gradient.data[i * width + j]!;
      }
    }
    return mean;
  };
}

/** Where each feature of a shrunk and padded image comes from, -1 for padding; undefined where the draw says no. */
function shrinking(image: ImageGeometry, rng: Rng, probability: number, smallest: number): Int32Array | undefined {
  const { height, width, channels, rowStride, columnStride, channelStride } = image;
  // Drawn in any case, so that one step's draw does not shift the next one's.
  const [chance, size, down, right] = [rng.next(), rng.next(), rng.next(), rng.next()];
  if (chance >= probability) return undefined;
  const share = smallest + size * (1 - smallest);
  const [h, w] = [Math.max(1, Math.floor(share * height)), Math.max(1, Math.floor(share * width))];
  const [top, left] = [Math.floor(down * (height - h + 1)), Math.floor(right * (width - w + 1))];
  const map = new Int32Array(height * width * channels).fill(-1);
  for (let row = 0; row < h; row++) {
    for (let column = 0; column < w; column++) {
      const to = (top + row) * rowStride + (left + column) * columnStride;
      const from =
        Math.floor(((row + 0.5) * height) / h) * rowStride + Math.floor(((column + 0.5) * width) / w) * columnStride;
      for (let channel = 0; channel < channels; channel++)
        map[to + channel * channelStride] = from + channel * channelStride;
    }
  }
  return map;
}

/** One axis of a kernel whose two-dimensional form is its product with itself; sums to 1. */
function kernelOf(kind: string, size: number): Float64Array {
  checkNumber("translation.size", size, { min: 1, integer: true });
  if (size % 2 === 0) throw new RangeError(expected("translation.size", "an odd number", size));
  const middle = (size - 1) / 2;
  const shapes: Readonly<Record<string, (offset: number) => number>> = {
    gaussian: (offset) => (middle === 0 ? 1 : Math.exp(-0.5 * ((3 * offset) / middle) ** 2)),
    linear: (offset) => 1 - Math.abs(offset) / (middle + 1),
    uniform: () => 1,
  };
  const shape = Object.hasOwn(shapes, kind) ? shapes[kind] : undefined;
  if (shape === undefined) {
    throw new TypeError(expected("translation.kernel", '"gaussian", "linear" or "uniform"', kind));
  }
  const taps = Float64Array.from({ length: size }, (_, i) => shape(i - middle));
  const sum = taps.reduce((total, value) => total + value, 0);
  return taps.map((value) => value / sum);
}

/** Convolves every channel of every row with the kernel, in place; zeros lie outside. */
function smooth(data: Float32Array, image: ImageGeometry, taps: Float64Array): void {
  const { height, width, channels, rowStride, columnStride, channelStride } = image;
  const middle = (taps.length - 1) / 2;
  const line = new Float64Array(Math.max(height, width));
  const along = (start: number, stride: number, length: number): void => {
    for (let i = 0; i < length; i++) line[i] = data[start + i * stride]!;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      const last = Math.min(length - 1, i + middle);
      for (let j = Math.max(0, i - middle); j <= last; j++) sum += taps[j - i + middle]! * line[j]!;
      data[start + i * stride] = sum;
    }
  };
  for (let row = 0; row < data.length; row += height * width * channels) {
    for (let channel = 0; channel < channels; channel++) {
      const start = row + channel * channelStride;
      for (let i = 0; i < height; i++) along(start + i * rowStride, columnStride, width);
      for (let i = 0; i < width; i++) along(start + i * columnStride, rowStride, height);
    }
  }
}

/** The old direction decays, the new one enters with unit size; one that is zero or not finite does not enter. */
function accumulate(velocity: Float32Array, gradient: Float32Array, decay: number, norm: Norm, n: number): void {
  const width = gradient.length / n;
  for (let from = 0; from < gradient.length; from += width) {
    let size = 0;
    for (let at = from; at < from + width; at++) {
      size += norm === "l2" ? gradient[at]! * gradient[at]! : Math.abs(gradient[at]!);
    }
    if (norm === "l2") size = Math.sqrt(size);
    else if (norm === "linf") size /= width;
    const scale = size > 0 && Number.isFinite(size) ? 1 / size : 0;
    for (let at = from; at < from + width; at++) {
      velocity[at] = decay * velocity[at]! + (scale === 0 ? 0 : scale * gradient[at]!);
    }
  }
}
