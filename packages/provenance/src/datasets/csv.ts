import { expected } from "@parapet/core";
import { problem, shown } from "../problem.ts";
import type { Pieces } from "./json-lines.ts";
import type { FieldsRecord } from "./record.ts";
import { malformed } from "./strict.ts";

/** Options of `readCsv`. */
export interface CsvOptions {
  /** One character; default a comma. */
  readonly delimiter?: string;
  /** Names of the columns; default: the first row has them. */
  readonly columns?: readonly string[];
  /** What columns hold, by name; default text. An empty number or boolean is null; booleans are `true` and `false`. */
  readonly types?: Readonly<Record<string, "text" | "number" | "boolean">>;
}

/** Most characters of a row, and columns. */
const MOST_ROW = 1 << 24;
const MOST_COLUMNS = 1000;

/** Takes text in any pieces, and gives whole rows. */
function createRows(delimiter: string) {
  let [row, cell, length, rows] = [[] as string[], "", 0, 1];
  // "start" of a cell, in a "plain" one, in a "quoted" one, after a quotation mark in it, after a carriage return.
  let state: "start" | "plain" | "quoted" | "quote" | "return" = "start";
  const done: string[][] = [];
  const bad = (why: string) => malformed(`row ${rows} expected ${why}`);
  const endCell = () => {
    if (row.length === MOST_COLUMNS)
      throw problem("provenance/too-large", `row ${rows} expected at most ${MOST_COLUMNS} columns`);
    row.push(cell);
    cell = "";
    state = "start";
  };
  const endRow = () => {
    endCell();
    done.push(row);
    [row, length] = [[], 0];
    rows++;
  };
  const take = (character: string): void => {
    if (state === "quoted") {
      if (character === '"') state = "quote";
      else cell += character;
    } else if (state === "return") {
      if (character !== "\n") throw bad("a line feed after a carriage return");
      endRow();
    } else if (character === delimiter) endCell();
    else if (character === "\n") endRow();
    else if (character === "\r") state = "return";
    else if (character === '"') {
      if (state === "plain") throw bad("quotation marks around a whole cell only");
      if (state === "quote") cell += '"';
      state = "quoted";
    } else {
      if (state === "quote") throw bad("a delimiter after a closing quotation mark");
      cell += character;
      state = "plain";
    }
  };
  return {
    add(text: string): readonly string[][] {
      for (const character of text) {
        if (++length > MOST_ROW)
          throw problem("provenance/too-large", `row ${rows} expected at most ${MOST_ROW} characters`);
        take(character);
      }
      return done.splice(0);
    },
    end(): readonly string[][] {
      if (state === "quoted") throw bad("a closing quotation mark");
      if (state === "return") throw bad("a line feed after a carriage return");
      if (length > 0) endRow();
      return done.splice(0);
    },
  };
}

async function* rowsFrom(pieces: Pieces, delimiter: string): AsyncGenerator<string[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (piece?: Uint8Array) => {
    try {
      return piece === undefined ? decoder.decode() : decoder.decode(piece, { stream: true });
    } catch (cause) {
      throw problem("provenance/malformed", "table expected UTF-8, got bytes that are none", { cause });
    }
  };
  const rows = createRows(delimiter);
  for await (const piece of pieces) yield* rows.add(decode(piece));
  yield* rows.add(decode());
  yield* rows.end();
}

function cellValue(text: string, type: string | undefined, where: () => string): string | number | boolean | null {
  if (type === undefined || type === "text") return text;
  if (text === "") return null;
  if (type === "boolean" && (text === "true" || text === "false")) return text === "true";
  if (type === "number" && /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/.test(text)) {
    const value = Number(text);
    if (Number.isFinite(value)) return value;
  }
  throw malformed(`${where()} expected a ${type}, got ${shown(text)}`);
}

/**
 * The records of a table in CSV, as they come: one a row, text unless `types` says otherwise. Every row has as many cells as there
 * are columns; a byte order mark is taken off.
 *
 * @param pieces - the bytes: UTF-8, rows of at most 2^24 characters and 1,000 columns
 * @param options - the delimiter, names and types of columns
 * @returns the records, one after the other
 * @throws TypeError for options that cannot be
 * @throws ParapetError `provenance/malformed` with the row, `provenance/too-large`
 *
 * @example
 * ```ts
 * import { toUtf8 } from "@parapet/attestation";
 * import { readCsv } from "@parapet/provenance";
 * const table = toUtf8('name,age\r\n"Doe, J.",30\r\n');
 * for await (const record of readCsv([table], { types: { age: "number" } })) console.log(record.name, record.age); // => Doe, J. 30
 * ```
 *
 * Source: RFC 4180, section 2. Differences from the source: lines may end with a line feed alone; cells may hold any Unicode.
 */
export async function* readCsv(pieces: Pieces, options: CsvOptions = {}): AsyncGenerator<FieldsRecord> {
  const { delimiter = ",", types = {} } = options;
  if (typeof delimiter !== "string" || [...delimiter].length !== 1 || /["\r\n]/.test(delimiter)) {
    throw new TypeError(expected("delimiter", "one character that is no quotation mark or end of a line", delimiter));
  }
  const typeOf = new Map(Object.entries(types));
  const wrong = options.columns === undefined ? malformed : (message: string) => new TypeError(message);
  const checkColumns = (names: readonly string[]) => {
    if (new Set(names).size !== names.length)
      throw wrong(`columns expected different names, got ${shown(names.join())}`);
    const unknown = [...typeOf.keys()].find((name) => !names.includes(name));
    if (unknown !== undefined) throw wrong(`columns expected one called ${shown(unknown)}, got ${shown(names.join())}`);
  };
  let columns = options.columns;
  if (columns !== undefined) checkColumns(columns);
  let row = 0;
  for await (const cells of rowsFrom(pieces, delimiter)) {
    row++;
    if (columns === undefined) {
      checkColumns(cells);
      columns = cells;
      continue;
    }
    if (cells.length !== columns.length)
      throw malformed(`row ${row} expected ${columns.length} cells, got ${cells.length}`);
    const where = (i: number) => () => `row ${row}, column ${shown(columns![i]!)},`;
    yield Object.fromEntries(columns.map((name, i) => [name, cellValue(cells[i]!, typeOf.get(name), where(i))]));
  }
}
