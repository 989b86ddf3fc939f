import type { Json } from "@parapet/attestation";
import { shown } from "../problem.ts";
import type { ByteSource } from "./byte-source.ts";

/** How Keras calls a function that it saved as compiled Python. */
const LAMBDA = /^(Lambda|__lambda__)$/;
/** Whose code a configuration may name: that of Keras, which is there anyway. */
const KNOWN = /^(builtins|keras([_.][\w.]+)?)$/;

/** What a configuration of Keras makes run: functions of Lambda layers, and code of others. */
export function programsOfKeras(config: Json): readonly string[] {
  const found = new Set<string>();
  const visit = (value: Json) => {
    if (Array.isArray(value)) for (const item of value as readonly Json[]) visit(item);
    else if (typeof value === "object" && value !== null) {
      const { class_name: name, module, function_type: type } = value as Readonly<Record<string, Json>>;
      if (typeof name === "string" && LAMBDA.test(name)) found.add(`a ${name} of Keras, which is compiled Python`);
      if (type === "lambda") found.add("a lambda of Keras, which is compiled Python");
      if (typeof module === "string" && !KNOWN.test(module)) found.add(`a class of the module ${shown(module)}`);
      for (const inner of Object.values(value as Readonly<Record<string, Json>>)) visit(inner);
    }
  };
  visit(config);
  return [...found];
}

/** Bytes that are looked at together, and how many of them once more with the next. */
const PIECE = 1 << 20;
const OVERLAP = 1 << 10;

/**
 * The same for a file of HDF5, whose configuration is a text somewhere in it. Keras writes no character of ASCII as `\u00..`;
 * who does, hides something.
 */
export async function programsInHdf5({ size, read }: ByteSource): Promise<readonly string[]> {
  const found = new Set<string>();
  const decoder = new TextDecoder("latin1");
  for (let at = 0; at < size; at += PIECE - OVERLAP) {
    const text = decoder.decode(await read(at, Math.min(size, at + PIECE)));
    for (const [, name] of text.matchAll(/"class_name"\s*:\s*"(Lambda|__lambda__)"/g))
      found.add(`a ${name} of Keras, which is compiled Python`);
    if (/"function_type"\s*:\s*"lambda"/.test(text)) found.add("a lambda of Keras, which is compiled Python");
    for (const [, module] of text.matchAll(/"module"\s*:\s*"([^"]{0,200})"/g))
      if (!KNOWN.test(module!)) found.add(`a class of the module ${shown(module!)}`);
    if (/"[^"]{0,200}\\u00[2-7][0-9a-f]/i.test(text)) found.add("texts that are hidden by escapes");
    if (found.size > 100 || at + PIECE >= size) break;
  }
  return [...found];
}
