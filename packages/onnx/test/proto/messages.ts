import { Writer } from "../../src/proto/wire.ts";

/** Files by hand, for what no writer of ours writes: each part is a function that adds fields. */
export type Part = (message: Writer) => unknown;

export const message = (...parts: readonly Part[]): Writer => {
  const writer = new Writer();
  for (const part of parts) part(writer);
  return writer;
};

export const integer =
  (field: number, ...values: readonly (number | bigint)[]): Part =>
  (writer) =>
    values.map((value) => writer.integer(field, value));
export const text =
  (field: number, ...values: readonly string[]): Part =>
  (writer) =>
    values.map((value) => writer.string(field, value));
export const float =
  (field: number, value: number): Part =>
  (writer) =>
    writer.float(field, value);
export const bytes =
  (field: number, ...values: readonly number[]): Part =>
  (writer) =>
    writer.bytes(field, Uint8Array.from(values));
export const inside =
  (field: number, ...parts: readonly Part[]): Part =>
  (writer) =>
    writer.message(field, message(...parts));

export const graph = (...parts: readonly Part[]): Part => inside(7, ...parts);
export const node = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  ...more: readonly Part[]
): Part => inside(1, text(1, ...inputs), text(2, ...outputs), text(3, `the ${op}`), text(4, op), ...more);
export const constant = (
  name: string,
  code: number,
  dims: readonly (number | bigint)[],
  ...more: readonly Part[]
): Part => inside(5, integer(1, ...dims), integer(2, code), text(8, name), ...more);
export const input = (name: string): Part => inside(11, text(1, name), inside(2, inside(1, integer(1, 1))));
export const output = (name: string): Part => inside(12, text(1, name), inside(2, inside(1, integer(1, 1))));

/** A file of version 8 with opset 17. */
export const file = (...parts: readonly Part[]): Uint8Array =>
  message(integer(1, 8), inside(8, integer(2, 17)), ...parts).finish();
