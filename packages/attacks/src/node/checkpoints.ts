import { open } from "node:fs/promises";
import { createQueue, ParapetError } from "@parapet/core";
import type { Checkpoint } from "../evaluation/evaluation.ts";

/** A file of finished pieces. */
export interface CheckpointFile {
  /** What was in it when it was opened: `resume`. */
  readonly pieces: readonly Checkpoint[];
  /** Adds a piece; resolves when it is on the disk: `onCheckpoint`. */
  readonly append: (piece: Checkpoint) => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Opens a file of checkpoints, one line of JSON each, or makes it. What was being written when a process or a machine
 * died, a last line without its end, is dropped; every other line that is no checkpoint is an error.
 *
 * @param path - of the file; one process at a time
 * @returns what is in it, and a way to add to it
 * @throws ParapetError `attacks/checkpoint-damaged` when a line cannot be read
 *
 * @example
 * ```ts
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { openCheckpoints } from "@parapet/attacks/node";
 * const path = join(mkdtempSync(join(tmpdir(), "parapet-")), "evaluation.jsonl");
 * const file = await openCheckpoints(path);
 * await file.append({ id: "a", witness: [], result: { outcomes: [], exhibits: [] } });
 * await file.close();
 * const again = await openCheckpoints(path);
 * console.log(again.pieces.length); // => 1
 * await again.close();
 * ```
 */
export async function openCheckpoints(path: string): Promise<CheckpointFile> {
  const file = await open(path, "a+");
  try {
    const text = await file.readFile("utf8");
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (whole.length < text.length) await file.truncate(Buffer.byteLength(whole));
    const pieces = whole
      .split("\n")
      .slice(0, -1)
      .map((line, i) => pieceOf(line, `${path}, line ${i + 1}`));
    const queue = createQueue();
    return {
      pieces,
      append: (piece) =>
        queue(async () => {
          await file.appendFile(`${JSON.stringify(piece)}\n`);
          await file.sync();
        }),
      close: () => queue(() => file.close()),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function pieceOf(line: string, where: string): Checkpoint {
  let cause: unknown;
  try {
    const piece = JSON.parse(line) as Checkpoint;
    if (
      typeof piece?.id === "string" &&
      Array.isArray(piece.witness) &&
      typeof piece.result === "object" &&
      piece.result !== null
    )
      return piece;
  } catch (error) {
    cause = error;
  }
  throw new ParapetError("attacks/checkpoint-damaged", `${where} is no checkpoint`, { cause });
}
