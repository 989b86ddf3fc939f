/**
 * The product of two doubles as the rounded product and its rounding error: `a * b` is exactly the sum of the two.
 * Exact while nothing overflows or underflows: factors below 1e290, products between 1e-280 and 1e300.
 *
 * Source: T. J. Dekker (1971), Numerische Mathematik 18, with the splitting of G. W. Veltkamp.
 * Differences from the source: none known.
 */
export function exactProduct(a: number, b: number): readonly [product: number, error: number] {
  const product = a * b;
  const [aHigh, aLow] = split(a);
  const [bHigh, bLow] = split(b);
  return [product, aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow)];
}

/**
 * The sum of two doubles as the rounded sum and its rounding error.
 *
 * Source: D. E. Knuth (1969), The Art of Computer Programming 2, section 4.2.2, theorem B. Differences from the source:
 * none known.
 */
export function exactSum(a: number, b: number): readonly [sum: number, error: number] {
  const sum = a + b;
  const bPart = sum - a;
  return [sum, a - (sum - bPart) + (b - bPart)];
}

/** Two halves of 26 bits whose sum is the number. */
function split(a: number): readonly [high: number, low: number] {
  const shifted = 134217729 * a; // 2^27 + 1
  const high = shifted - (shifted - a);
  return [high, a - high];
}
