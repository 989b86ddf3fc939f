/**
 * The Euclidean projection of a perturbation onto what is both in the l1 ball and inside the box, in place: the closest
 * `d` with `||d||_1 <= radius` and `lower <= x + d <= upper`. First ball and then box would be neither closest nor, in
 * general, as large as it may be.
 *
 * `d_j = sign(d_j) clip(|d_j| - t, 0, room_j)`, with the smallest `t >= 0` whose sum fits. The sum is piecewise linear in
 * t: Newton's steps, kept inside a bracket, end on its piece.
 *
 * @param d - perturbation, `[width]`
 * @param x - the examples, of which one begins at `at`
 *
 * Source: F. Croce and M. Hein, "Mind the Box: l1-APGD for Sparse Adversarial Attacks on Image Classifiers", 2021,
 * https://arxiv.org/abs/2103.01208, proposition 2.1. Differences from the paper: the threshold is searched for, not sorted
 * out; any bounds.
 */
export function projectOntoL1BallAndBox(
  d: Float32Array | Float64Array,
  x: Float32Array,
  at: number,
  lower: Float32Array,
  upper: Float32Array,
  radius: number,
): void {
  const width = d.length;
  if (radius <= 0) {
    d.fill(0);
    return;
  }
  const room = (j: number) => Math.max(0, d[j]! > 0 ? upper[j]! - x[at + j]! : x[at + j]! - lower[j]!);
  let sum = 0;
  let high = 0;
  for (let j = 0; j < width; j++) {
    const size = Math.abs(d[j]!);
    sum += Math.min(size, room(j));
    if (size > high) high = size;
  }
  let threshold = 0;
  let low = 0;
  for (let round = 0; sum > radius && round < 200; round++) {
    let moving = 0;
    sum = 0;
    for (let j = 0; j < width; j++) {
      const rest = Math.abs(d[j]!) - threshold;
      if (rest <= 0) continue;
      const most = room(j);
      if (rest < most) {
        sum += rest;
        moving++;
      } else sum += most;
    }
    if (sum > radius) low = threshold;
    else high = threshold;
    if (Math.abs(sum - radius) <= 1e-12 * radius || high - low <= 1e-15 * high) break;
    const newton = threshold + (sum - radius) / moving;
    threshold = newton > low && newton < high ? newton : (low + high) / 2;
    sum = Number.POSITIVE_INFINITY;
  }
  for (let j = 0; j < width; j++) {
    const size = Math.min(Math.max(0, Math.abs(d[j]!) - threshold), room(j));
    d[j] = d[j]! > 0 ? size : -size;
  }
}
