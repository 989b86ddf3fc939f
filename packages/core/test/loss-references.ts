/**
 * The losses as formulas in float64, written again and as plainly as can be: what the package's float32 answers are
 * compared with, and what central differences are taken of. One row of logits z, class y.
 */
export type Row = readonly number[];

const softmax = (z: Row): number[] => {
  const top = Math.max(...z);
  const powers = z.map((value) => Math.exp(value - top));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
};

export const crossEntropyOf = (z: Row, y: number): number => {
  const top = Math.max(...z);
  return top + Math.log(z.reduce((sum, value) => sum + Math.exp(value - top), 0)) - z[y]!;
};

export const marginOf = (z: Row, y: number): number => Math.max(...z.filter((_, j) => j !== y)) - z[y]!;

export const ratioOf = (z: Row, y: number, t?: number): number => {
  const [first, , third, fourth] = [...z].sort((a, b) => b - a) as [number, number, number, number];
  if (t === undefined) return marginOf(z, y) / (first - third);
  return (z[t]! - z[y]!) / (first - (third + fourth) / 2);
};

export const divergenceOf = (p: Row, q: Row): number => {
  const [a, b] = [softmax(p), softmax(q)];
  return a.reduce((sum, value, j) => sum + value * Math.log(value / b[j]!), 0);
};

/** Central differences of f by every entry of z, extrapolated from two steps: the error is of the order h^4 + 1e-16 / h. */
export function differences(f: (z: Row) => number, z: Row, h = 1e-4): number[] {
  const slope = (j: number, step: number) => {
    const at = (by: number) => f(z.map((value, i) => (i === j ? value + by : value)));
    return (at(step) - at(-step)) / (2 * step);
  };
  return z.map((_, j) => (4 * slope(j, h / 2) - slope(j, h)) / 3);
}
