import type { Norm } from "@parapet/core";

/** Memory for `projectOntoHyperplane`, so that no call needs its own. */
export interface HyperplaneScratch {
  readonly room: Float64Array;
  readonly order: Int32Array;
}

/** Scratch memory for `width` features. */
export function hyperplaneScratch(width: number): HyperplaneScratch {
  return { room: new Float64Array(width), order: new Int32Array(width) };
}

/**
 * The shortest way, in the norm, from a point to a hyperplane inside the box: the `d` of least `||d||` with
 * `<w, t + d> = b` and `lower <= t + d <= upper`. Where the box does not meet the hyperplane, the way to the corner that
 * comes closest. Features with `w_j = 0` stand still.
 *
 * Every feature moves against the sign of the residual, by `min(s, room_j)` in linf and `min(s |w_j|, room_j)` in l2, with
 * the one `s` that gets there: what is bridged is concave and piecewise linear in s, so Newton's steps from 0 never go too
 * far and end exactly. In l1 the features of largest weight go all the way, one after the other.
 *
 * @param w - normal vector, `[width]` from index `wAt`; finite
 * @param t - the point, `[width]` from index `tAt`, inside the box
 * @param residual - `<w, t> - b`
 * @param out - receives d, `[width]`
 * @returns the length of d in the norm
 *
 * Source: F. Croce and M. Hein, "Minimally distorted Adversarial Examples with a Fast Adaptive Boundary Attack", 2020,
 * https://arxiv.org/abs/1907.02044, section 2.2. Differences from the paper: no sorting; any bounds.
 */
export function projectOntoHyperplane(
  norm: Norm,
  w: Float32Array,
  wAt: number,
  t: Float32Array,
  tAt: number,
  residual: number,
  lower: Float32Array,
  upper: Float32Array,
  out: Float64Array,
  scratch: HyperplaneScratch,
): number {
  const width = out.length;
  const { room } = scratch;
  const sign = residual > 0 ? -1 : 1;
  for (let j = 0; j < width; j++) {
    const direction = sign * w[wAt + j]!;
    room[j] = Math.max(0, direction > 0 ? upper[j]! - t[tAt + j]! : direction < 0 ? t[tAt + j]! - lower[j]! : 0);
  }
  const gap = Math.abs(residual);
  if (norm === "l1") heaviestFirst(w, wAt, gap, out, scratch);
  else evenly(norm, w, wAt, gap, out, room);
  let length = 0;
  for (let j = 0; j < width; j++) {
    const size = out[j]!;
    if (norm === "linf") length = Math.max(length, size);
    else length += norm === "l2" ? size * size : size;
    if (sign * w[wAt + j]! < 0) out[j] = -size;
  }
  return norm === "l2" ? Math.sqrt(length) : length;
}

/** The sizes of linf and l2: as far as `s` says, or as there is room. */
function evenly(norm: Norm, w: Float32Array, wAt: number, gap: number, out: Float64Array, room: Float64Array): void {
  const width = out.length;
  let s = 0;
  for (let round = 0; round < 100; round++) {
    let rest = gap;
    let slope = 0;
    for (let j = 0; j < width; j++) {
      const weight = Math.abs(w[wAt + j]!);
      if (weight === 0) continue;
      const size = norm === "linf" ? s : s * weight;
      if (size < room[j]!) {
        rest -= weight * size;
        slope += norm === "linf" ? weight : weight * weight;
      } else rest -= weight * room[j]!;
    }
    if (slope === 0) break;
    const next = s + rest / slope;
    if (!(next > s)) break;
    s = next;
  }
  for (let j = 0; j < width; j++) {
    const weight = Math.abs(w[wAt + j]!);
    out[j] = weight === 0 ? 0 : Math.min(norm === "linf" ? s : s * weight, room[j]!);
  }
}

/** The sizes of l1: from the largest weight on, found by halving the candidates instead of sorting them. */
function heaviestFirst(w: Float32Array, wAt: number, gap: number, out: Float64Array, scratch: HyperplaneScratch): void {
  const { room, order } = scratch;
  const weight = (j: number) => Math.abs(w[wAt + j]!);
  let high = 0;
  for (let j = 0; j < out.length; j++) {
    out[j] = 0;
    if (weight(j) > 0 && room[j]! > 0) order[high++] = j;
  }
  let low = 0;
  let rest = gap;
  while (low < high && rest > 0) {
    const pivot = weight(order[(low + high) >> 1]!);
    // Heavier than the pivot: [low, heavier). As heavy: [heavier, at). Lighter: [lighter, high).
    let heavier = low;
    let lighter = high;
    let bridged = 0;
    for (let at = low; at < lighter; ) {
      const j = order[at]!;
      if (weight(j) > pivot) {
        bridged += weight(j) * room[j]!;
        order[at++] = order[heavier]!;
        order[heavier++] = j;
      } else if (weight(j) < pivot) {
        order[at] = order[--lighter]!;
        order[lighter] = j;
      } else at++;
    }
    if (bridged >= rest && heavier > low) {
      high = heavier;
      continue;
    }
    for (let at = low; at < heavier; at++) out[order[at]!] = room[order[at]!]!;
    rest -= bridged;
    for (let at = heavier; at < lighter && rest > 0; at++) {
      const j = order[at]!;
      out[j] = Math.min(room[j]!, rest / weight(j));
      rest -= weight(j) * out[j]!;
    }
    low = lighter;
  }
}
