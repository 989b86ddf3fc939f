import { sizeOf } from "@parapet/core";
import type { ImageLayout } from "./image.ts";

/** An example read as an image. */
export interface Grid {
  readonly height: number;
  readonly breadth: number;
  readonly channels: number;
  /** The feature at row u, column v, channel c. */
  at(u: number, v: number, c: number): number;
  /** A window that covers `share` of the image, its sides at least `least` and odd where asked for; of a line any part. */
  window(share: number, least: number, odd: boolean): { readonly high: number; readonly wide: number };
}

/** Reads the features of an input as an image, or as one line where they are none. */
export function imageGrid(inputShape: readonly number[], layout: ImageLayout | undefined): Grid {
  let [height, breadth, channels] = [1, sizeOf(inputShape), 1];
  let at = (_u: number, v: number, _c: number) => v;
  if (inputShape.length === 2) {
    [height, breadth] = [inputShape[0]!, inputShape[1]!];
    at = (u, v) => u * breadth + v;
  } else if (inputShape.length === 3) {
    const [first, second, third] = [inputShape[0]!, inputShape[1]!, inputShape[2]!];
    if ((layout ?? (first <= 4 && third > 4 ? "channels-first" : "channels-last")) === "channels-first") {
      [channels, height, breadth] = [first, second, third];
      at = (u, v, c) => (c * height + u) * breadth + v;
    } else {
      [height, breadth, channels] = [first, second, third];
      at = (u, v, c) => (u * breadth + v) * channels + c;
    }
  }
  const line = height === 1 || breadth === 1;
  return {
    height,
    breadth,
    channels,
    at,
    window(share, least, odd) {
      const area = share * height * breadth;
      if (line) {
        const length = Math.max(Math.round(area), 1);
        return { high: Math.min(length, height), wide: Math.min(length, breadth) };
      }
      let side = Math.max(Math.round(Math.sqrt(area)), least);
      if (odd && side % 2 === 0) side++;
      side = Math.min(side, height, breadth);
      return { high: side, wide: side };
    },
  };
}

/** Fifths of a side, and where each begins, in the middle of what is left over. */
export function spreadOver(side: number): { readonly length: number; readonly begins: readonly number[] } {
  const length = Math.max(1, Math.floor(side / 5));
  const begin = Math.max(0, Math.floor((side - 5 * length) / 2));
  const begins: number[] = [];
  for (let at = begin; at + length <= side; at += length) begins.push(at);
  return { length, begins };
}

/**
 * Bumps of two halves of opposite sign, each rising in steps towards its middle: squares around the middle of half width
 * r = 0, 1, ... add `1 / (r + 1)^2` (l2) or `1 / (r + 1)^4` (l1). A bump has length 1 in the norm. Every size is made once.
 *
 * @param power - 2 for l2, 1 for l1
 * @returns a function that gives the bump of a window, `[high * wide]`, not to be written to; `across`: halves side by
 *   side instead of one above the other
 *
 * Source: https://arxiv.org/abs/1912.00049, section 4 (equation 2 and figure 3).
 */
export function windowPatterns(power: 1 | 2): (high: number, wide: number, across: boolean) => Float64Array {
  const known = new Map<string, Float64Array>();
  return (high, wide, across) => {
    const byColumn = (across && wide > 1) || high === 1;
    const key = `${high} ${wide} ${byColumn}`;
    let pattern = known.get(key);
    if (pattern === undefined) {
      pattern = twoHalves(high, wide, power, byColumn);
      known.set(key, pattern);
    }
    return pattern;
  };
}

function twoHalves(high: number, wide: number, power: 1 | 2, byColumn: boolean): Float64Array {
  const pattern = new Float64Array(high * wide);
  const [long, short] = byColumn ? [wide, high] : [high, wide];
  const half = Math.floor(long / 2);
  const halves = [
    { begin: 0, length: half, sign: 1 },
    { begin: half, length: long - half, sign: -1 },
  ];
  for (const { begin, length, sign } of halves) {
    const bump = halfPattern(length, short, power);
    for (let u = 0; u < length; u++) {
      for (let v = 0; v < short; v++) {
        pattern[byColumn ? v * wide + begin + u : (begin + u) * wide + v] = sign * bump[u * short + v]!;
      }
    }
  }
  normalise(pattern, power);
  return pattern;
}

function halfPattern(rows: number, columns: number, power: 1 | 2): Float64Array {
  const bump = new Float64Array(rows * columns);
  const [middleRow, middleColumn] = [Math.floor(rows / 2), Math.floor(columns / 2)];
  const reach = Math.max(middleRow, middleColumn);
  for (let u = 0; u < rows; u++) {
    for (let v = 0; v < columns; v++) {
      for (let r = Math.max(Math.abs(u - middleRow), Math.abs(v - middleColumn)); r <= reach; r++) {
        bump[u * columns + v]! += 1 / (r + 1) ** (power === 2 ? 2 : 4);
      }
    }
  }
  normalise(bump, power);
  return bump;
}

function normalise(values: Float64Array, power: 1 | 2): void {
  let total = 0;
  for (const value of values) total += power === 2 ? value * value : Math.abs(value);
  if (total === 0) return;
  const length = power === 2 ? Math.sqrt(total) : total;
  for (let i = 0; i < values.length; i++) values[i]! /= length;
}
