import type { Model } from "./graph.ts";

/** The metadata of a file that names the initializers which are not trained, as a JSON list. */
const key = "parapet.frozen";

/** Metadata that says so. */
export const freezing = (names: readonly string[]): ReadonlyMap<string, string> | undefined =>
  names.length === 0 ? undefined : new Map([[key, JSON.stringify(names)]]);

/** The initializers that a file says are not trained; what is no list of names says nothing. */
export function frozenIn(metadata: Model["metadata"]): readonly string[] {
  try {
    const names: unknown = JSON.parse(metadata?.get(key) ?? "[]");
    return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}
