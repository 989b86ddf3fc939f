/** One line that is rewritten on a terminal, and printed now and then elsewhere. */
export function createProgress(stream: NodeJS.WriteStream = process.stdout) {
  const start = performance.now();
  let last = Number.NEGATIVE_INFINITY;
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(0).padStart(4)} s  `;
  const every = stream.isTTY ? 100 : 10_000;
  return {
    /** What is going on now; may be called at every step. */
    update(text: string): void {
      if (performance.now() - last < every) return;
      last = performance.now();
      stream.write(stream.isTTY ? `\r\x1b[K${seconds()}${text}` : `${seconds()}${text}\n`);
    },
    /** A line that stays. */
    done(text: string): void {
      last = Number.NEGATIVE_INFINITY;
      stream.write(`${stream.isTTY ? "\r\x1b[K" : ""}${seconds()}${text}\n`);
    },
  };
}

export type ProgressLine = ReturnType<typeof createProgress>;
