/** A property that everything of a kind must have, ready to be registered with any test runner. */
export interface Law {
  /** What holds, in words; unique within its list. */
  readonly name: string;
  /** Resolves when it holds; rejects with an `Error` that says what came instead. */
  run(): Promise<void>;
}

/** Breaks the law that is being checked, unless the condition holds. */
export function demand(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new Error(typeof message === "string" ? message : message());
}

/** Waits for a call to fail and returns what it failed with; a call that answers breaks the law. */
export async function failureOf(what: string, call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error(`${what}: expected a rejection, got an answer`);
}

/** Demands a `TypeError` or `RangeError` that names what was expected and what came. */
export async function refuses(what: string, call: () => Promise<unknown>): Promise<void> {
  const error = await failureOf(what, call);
  const typed = error instanceof TypeError || error instanceof RangeError;
  demand(typed, `${what}: expected a TypeError or a RangeError, got ${String(error)}`);
  const told = /expected .+, got ./.test((error as Error).message);
  demand(told, `${what}: expected a message '"name" expected ..., got ...', got ${String(error)}`);
}
