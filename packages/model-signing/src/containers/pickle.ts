import { shown } from "../problem.ts";
import type { ByteSource } from "./byte-source.ts";

/** What a file does when it is read as a pickle, as far as it was followed. */
export interface PickleFindings {
  /**
   * How the file went on: to an instruction that ends it, beyond what is followed, beyond the end of the file, or to something
   * that no pickle has.
   */
  readonly end: "stop" | "limit" | "cut" | "none";
  /** Functions and classes that it imports: "module name". */
  readonly imports: readonly string[];
  /** Whether it calls something. */
  readonly calls: boolean;
}

/** How many instructions and imports are followed. */
const INSTRUCTIONS = 1 << 20;
const IMPORTS = 100;
/** What is read at once; a line of text that is longer is not followed. */
const WINDOW = 1 << 22;
/** What may stand in the line of a number, or more; Python also takes those of other bases, and with blanks. */
const NUMBER = /^[\s\w.+-]*$/;

// Instructions, by what follows them: nothing, a few bytes, a length of a few bytes and as many bytes, or a line of text.
const PLAIN = "(012NRQabt)edu]}lso\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98";
const FIXED: Readonly<Record<string, number>> = {
  ...{ K: 1, M: 2, J: 4, G: 8, h: 1, j: 4, q: 1, r: 4 },
  ...{ "\x80": 1, "\x82": 1, "\x83": 2, "\x84": 4, "\x95": 8 },
};
const COUNTED: Readonly<Record<string, number>> = {
  ...{ U: 1, T: 4, X: 4, C: 1, B: 4 },
  ...{ "\x8a": 1, "\x8b": 4, "\x8c": 1, "\x8d": 8, "\x8e": 8, "\x96": 8 },
};
const LINES: Readonly<Record<string, RegExp>> = {
  ...{ I: NUMBER, L: NUMBER, F: NUMBER, S: /^['"].*['"]\s*$/, V: /^/, P: /^/, g: NUMBER, p: NUMBER },
};
/** Instructions that call or fetch what was named before. */
const CALLS = "Riobo\x81\x92\x82\x83\x84QP";
/** What an instruction needs on the stack, and what it leaves there instead; those that are not here put one thing more. */
const STACK: Readonly<Record<string, readonly [number, number]>> = {
  ...{
    R: [2, 1],
    b: [2, 1],
    a: [2, 1],
    s: [3, 1],
    Q: [1, 1],
    "0": [1, 0],
    "2": [1, 2],
    p: [1, 1],
    q: [1, 1],
    r: [1, 1],
  },
  ...{ "\x81": [2, 1], "\x92": [3, 1], "\x93": [2, 1], "\x85": [1, 1], "\x86": [2, 1], "\x87": [3, 1] },
  ...{ "\x94": [1, 1], "\x98": [1, 1], "\x80": [0, 0], "\x95": [0, 0], ".": [1, 0] },
};
/** The same for those that take all that lies above the last mark: what they need above and below it, and leave there. */
const MARKED: Readonly<Record<string, readonly [number, number, number]>> = {
  ...{ t: [0, 0, 1], l: [0, 0, 1], d: [0, 0, 1], i: [0, 0, 1], o: [1, 0, 1], "1": [0, 0, 0], "\x91": [0, 0, 1] },
  ...{ e: [0, 1, 0], u: [0, 1, 0], "\x90": [0, 1, 0] },
};

/** Keeps count of how many things lie on the stack; false when an instruction needs more than there are. */
function countStack(frames: number[], code: string): boolean {
  const top = frames.length - 1;
  if (code === "(") {
    frames.push(0);
  } else if (Object.hasOwn(MARKED, code)) {
    const [above, below, left] = MARKED[code]!;
    if (top < 1 || frames[top]! < above || frames[top - 1]! < below) return false;
    frames.pop();
    frames[top - 1]! += left;
  } else if (code === "0" && frames[top] === 0 && top > 0) frames.pop();
  else {
    const [needed, left] = Object.hasOwn(STACK, code) ? STACK[code]! : [0, 1];
    if (frames[top]! < needed) return false;
    frames[top]! += left - needed;
  }
  return true;
}

const latin1 = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

/**
 * Follows a file as if it was a pickle, or some behind each other, without doing what it says, and notes what it would import.
 *
 * Source: CPython 3.13, `pickletools`.
 */
export async function followPickle({ size, read }: ByteSource): Promise<PickleFindings> {
  const imports = new Set<string>();
  /** Texts that came last: an import from the stack takes two of them, perhaps out of the memo. */
  let texts: string[] = [];
  let memo = new Map<number, string>();
  let frames = [0];
  let calls = false;
  let stops = 0;
  let bytes: Uint8Array = new Uint8Array();
  let begin = 0; // where `bytes` lie in the file
  let at = 0; // in the file
  // What fails behind a pickle that ended well is no part of it.
  const result = (end: PickleFindings["end"]): PickleFindings => ({
    end: end !== "limit" && stops > 0 ? "stop" : end,
    imports: [...imports],
    calls,
  });
  for (let count = 0; count < INSTRUCTIONS; count++) {
    if (at >= size) return result("cut");
    // Every instruction but those with long texts fits into what is left of the window, or begins the next one.
    if (at < begin || at + 64 > begin + bytes.length) {
      bytes = await read(at, Math.min(size, at + WINDOW));
      begin = at;
    }
    const code = String.fromCharCode(bytes[at++ - begin]!);
    const line = async (): Promise<string | undefined> => {
      let end = bytes.indexOf(10, at - begin);
      if (end < 0 && begin + bytes.length < size) {
        bytes = await read(at, Math.min(size, at + WINDOW));
        begin = at;
        end = bytes.indexOf(10);
      }
      // Readers take what stands at the end of a file for a line, and its last character for the line's end.
      if (end < 0 && begin + bytes.length >= size) end = Math.max(at - begin, bytes.length - 1);
      if (end < 0) return undefined;
      const text = latin1(bytes.subarray(at - begin, Math.min(end, at - begin + 1000)));
      at = begin + end + 1;
      return text;
    };
    const uint = (width: number): number => {
      let value = 0;
      for (let i = width - 1; i >= 0; i--) value = value * 256 + (bytes[at - begin + i] ?? 0);
      at += width;
      return value;
    };
    const push = (text: string) => {
      texts.push(text);
      if (texts.length > 64) texts = texts.slice(32);
    };
    const keep = (place: number) => {
      if (memo.size < 1 << 16) memo.set(place, texts.at(-1) ?? "");
    };
    const note = (name: string) => {
      if (imports.size < IMPORTS) imports.add(name.slice(0, 200));
    };

    if (!countStack(frames, code)) return result("none");
    if (frames.length > 1 << 16) return result("limit");
    if (CALLS.includes(code)) calls = true;
    if (code === ".") {
      frames = [0];
      stops++;
      texts = [];
      memo = new Map();
    } else if (code === "c" || code === "i") {
      const [module, name] = [await line(), await line()];
      if (!module || !name) return result("none");
      note(`${module} ${name}`);
      push(name);
    } else if (code === "\x93") {
      if (texts.length === 0) return result("none");
      note(texts.length < 2 ? "something unnamed" : texts.slice(-2).join(" "));
    } else if (code === "\x94") keep(memo.size);
    else if (Object.hasOwn(LINES, code)) {
      const long = size - at > WINDOW;
      const text = await line();
      if (text === undefined) return result(long ? "limit" : "cut");
      if (!LINES[code]!.test(text)) return result("none");
      if (code === "V") push(text);
      else if (code === "S") push(text.trim().slice(1, -1));
      else if (code === "p") keep(Number(text));
      else if (code === "g") push(memo.get(Number(text)) ?? "");
    } else if (Object.hasOwn(FIXED, code)) {
      if (at + FIXED[code]! > size) return result("cut");
      const value = uint(FIXED[code]!);
      if (code === "q" || code === "r") keep(value);
      else if (code === "h" || code === "j") push(memo.get(value) ?? "");
      else if (code === "\x80" && value > 5) return result("none");
    } else if (Object.hasOwn(COUNTED, code)) {
      const length = uint(COUNTED[code]!);
      if (at + length > size) return result("cut");
      if (code !== "\x8a" && code !== "\x8b")
        push(latin1(bytes.subarray(at - begin, at - begin + Math.min(length, 60))));
      at += length;
    } else if (!PLAIN.includes(code)) return result("none");
  }
  return result("limit");
}

/** What a pickle would do, in words. */
export function describePickle({ imports, calls }: PickleFindings): string {
  if (imports.length === 0) return calls ? "a pickle that calls functions" : "a pickle";
  const named = imports.slice(0, 5).map(shown).join(", ");
  return `a pickle that imports ${named}${imports.length > 5 ? ` and ${imports.length - 5} more` : ""}`;
}
