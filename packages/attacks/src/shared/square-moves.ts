import type { Classifier, Norm, Rng } from "@parapet/core";
import { projectOntoL1BallAndBox } from "./l1-box.ts";
import type { Run } from "./run.ts";
import { type Grid, spreadOver, windowPatterns } from "./square-windows.ts";

/** How a search moves: both write a whole point of example `row` to `out[to ...]`. */
export interface Moves {
  start(row: number, rng: Rng, out: Float32Array, to: number): void;
  /** From the point in `out`; `share` of the image changes. Returns whether anything did. */
  change(row: number, rng: Rng, share: number, out: Float32Array, to: number): boolean;
}

/** The moves of a norm. `free` is 1 where a feature may change, for the whole batch. */
export function movesOf(
  run: Run<Classifier>,
  norm: Norm,
  epsilon: number,
  grid: Grid,
  free: Uint8Array | undefined,
): Moves {
  const { x, width, lower, upper } = run;
  const { height, breadth, channels } = grid;
  const sign = (rng: Rng) => (rng.next() < 0.5 ? -1 : 1);
  const fits = (value: number, j: number) => Math.max(lower[j]!, Math.min(upper[j]!, value));
  const place = (rng: Rng, high: number, wide: number) => ({
    top: rng.integer(height - high + 1),
    left: rng.integer(breadth - wide + 1),
  });

  if (norm === "linf") {
    const put = (row: number, j: number, s: number, out: Float32Array, to: number): boolean => {
      const at = row * width + j;
      if (free !== undefined && free[at] === 0) return false;
      const old = out[to + j]!;
      out[to + j] = fits(x.data[at]! + s * epsilon, j);
      return out[to + j] !== old;
    };
    return {
      start(row, rng, out, to) {
        out.set(x.data.subarray(row * width, (row + 1) * width), to);
        for (let c = 0; c < channels; c++) {
          for (let v = 0; v < breadth; v++) {
            const s = sign(rng);
            for (let u = 0; u < height; u++) put(row, grid.at(u, v, c), s, out, to);
          }
        }
      },
      change(row, rng, share, out, to) {
        const { high, wide } = grid.window(share, 1, false);
        const { top, left } = place(rng, high, wide);
        let changed = false;
        for (let c = 0; c < channels; c++) {
          const s = sign(rng);
          for (let u = top; u < top + high; u++) {
            for (let v = left; v < left + wide; v++) changed = put(row, grid.at(u, v, c), s, out, to) || changed;
          }
        }
        return changed;
      },
    };
  }

  const power = norm === "l2" ? 2 : 1;
  const patternOf = windowPatterns(power);
  const d = new Float64Array(width);
  const size = (value: number) => (power === 2 ? value * value : Math.abs(value));
  /** Writes x + d, after d is stretched (l2) or shrunk (l1) onto the ball; returns whether that differs from `out`. */
  const settle = (row: number, out: Float32Array, to: number): boolean => {
    const at = row * width;
    let total = 0;
    for (let j = 0; j < width; j++) {
      if (free !== undefined && free[at + j] === 0) d[j] = 0;
      total += size(d[j]!);
    }
    if (norm === "l1") projectOntoL1BallAndBox(d, x.data, at, lower, upper, epsilon * (1 - 1e-6));
    const scale = norm === "l1" ? 1 : total > 0 ? epsilon / Math.sqrt(total) : 0;
    let changed = false;
    for (let j = 0; j < width; j++) {
      const old = out[to + j]!;
      out[to + j] = fits(x.data[at + j]! + scale * d[j]!, j);
      if (out[to + j] !== old) changed = true;
    }
    return changed;
  };
  return {
    start(row, rng, out, to) {
      d.fill(0);
      const [high, wide] = [spreadOver(height), spreadOver(breadth)];
      for (const top of high.begins) {
        for (const left of wide.begins) {
          const pattern = patternOf(high.length, wide.length, sign(rng) > 0);
          for (let c = 0; c < channels; c++) {
            const s = sign(rng);
            for (let u = 0; u < high.length; u++) {
              for (let v = 0; v < wide.length; v++)
                d[grid.at(top + u, left + v, c)] = s * pattern[u * wide.length + v]!;
            }
          }
        }
      }
      // In l1 a bump is as large as the bounds are wide, and the projection thins it out. In l2 it is stretched anyway.
      if (norm === "l1") {
        for (let j = 0; j < width; j++)
          d[j]! *= Number.isFinite(upper[j]! - lower[j]!) ? upper[j]! - lower[j]! : epsilon;
      }
      settle(row, out, to);
    },
    change(row, rng, share, out, to) {
      const { high, wide } = grid.window(share, 3, true);
      const target = place(rng, high, wide);
      const source = place(rng, high, wide);
      const pattern = patternOf(high, wide, sign(rng) > 0);
      let total = 0;
      for (let j = 0; j < width; j++) {
        d[j] = out[to + j]! - x.data[row * width + j]!;
        total += size(d[j]!);
      }
      const unused = Math.max(0, epsilon ** power - total) / channels;
      const within = (u: number, v: number, { top, left }: typeof target) =>
        u >= top && u < top + high && v >= left && v < left + wide;
      for (let c = 0; c < channels; c++) {
        let inTarget = 0;
        let inBoth = 0;
        for (let u = 0; u < high; u++) {
          for (let v = 0; v < wide; v++) {
            inTarget += size(d[grid.at(target.top + u, target.left + v, c)]!);
            if (within(source.top + u, source.left + v, target)) continue;
            const j = grid.at(source.top + u, source.left + v, c);
            inBoth += size(d[j]!);
            d[j] = 0;
          }
        }
        inBoth += inTarget;
        const old = power === 2 ? Math.sqrt(inTarget) : inTarget;
        const s = sign(rng);
        let length = 0;
        for (let u = 0; u < high; u++) {
          for (let v = 0; v < wide; v++) {
            const j = grid.at(target.top + u, target.left + v, c);
            d[j] = s * pattern[u * wide + v]! + (old > 0 ? d[j]! / old : 0);
            length += size(d[j]!);
          }
        }
        const budget = unused + inBoth;
        const scale = length > 0 ? (power === 2 ? Math.sqrt(budget / length) : (budget * channels) / length) : 0;
        for (let u = 0; u < high; u++) {
          for (let v = 0; v < wide; v++) d[grid.at(target.top + u, target.left + v, c)]! *= scale;
        }
      }
      return settle(row, out, to);
    },
  };
}
