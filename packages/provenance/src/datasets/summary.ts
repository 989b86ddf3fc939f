import { type AnyNdArray, expected } from "@parapet/core";
import { problem } from "../problem.ts";
import type { Field, FieldStatistics } from "./manifest.ts";
import { type DatasetRecord, type FieldsRecord, isArray } from "./record.ts";

/** What the data cannot say of a field itself. */
export interface FieldNotes {
  readonly description?: string;
  /** Whether it is about persons: of such a field the statistics tell only how many records have it. */
  readonly personal?: boolean;
}

/** Fields that a dataset may have, and distinct values that are counted. */
const MOST_FIELDS = 1000;
const MOST_VALUES = 100;

interface Column {
  type: Field["type"] | undefined;
  dtype: string | undefined;
  shape: readonly number[] | undefined;
  /** Records that have a value. */
  count: number;
  /** Numbers behind the moments: elements, where values are arrays. */
  numbers: number;
  min: number;
  max: number;
  mean: number;
  /** Sum of the squared distances from the mean. */
  squares: number;
  /** Undefined beyond the limit. */
  values: Map<string, number> | undefined;
}

const typeOf = (value: unknown): Field["type"] => {
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  if (typeof value === "string") return "text";
  if (typeof value === "boolean") return "boolean";
  if (value instanceof Uint8Array) return "bytes";
  return isArray(value) ? "array" : "other";
};

function joined(a: Field["type"] | undefined, b: Field["type"]): Field["type"] {
  if (a === undefined || a === b) return b;
  return [a, b].every((type) => type === "integer" || type === "number") ? "number" : "other";
}

/** Joins the moments of a group of numbers to those of a column: Chan, Golub and LeVeque (1979), equations 1.5. */
function join(column: Column, numbers: number, mean: number, squares: number): void {
  const all = column.numbers + numbers;
  const apart = mean - column.mean;
  column.mean += apart * (numbers / all);
  column.squares += squares + apart * apart * ((column.numbers * numbers) / all);
  column.numbers = all;
}

/** Elements that are not finite are left out. Two passes over one record, so that it takes no division per element. */
function addElements(column: Column, { data }: AnyNdArray): void {
  let [numbers, sum] = [0, 0];
  let { min, max } = column;
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (!Number.isFinite(value)) continue;
    numbers++;
    sum += value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (numbers === 0) return;
  const mean = sum / numbers;
  let squares = 0;
  for (let i = 0; i < data.length; i++) {
    const apart = data[i]! - mean;
    if (Number.isFinite(apart)) squares += apart * apart;
  }
  [column.min, column.max] = [min, max];
  join(column, numbers, mean, squares);
}

function addValue(column: Column, value: unknown): void {
  if (typeof value === "number" && !Number.isFinite(value)) {
    column.type = joined(column.type, "number");
    return;
  }
  const type = typeOf(value);
  column.type = joined(column.type, type);
  column.count++;
  if (isArray(value)) {
    const isFirst = column.count === 1;
    const isSame = (shape: readonly number[]) =>
      shape.length === value.shape.length && shape.every((n, i) => n === value.shape[i]);
    column.dtype = isFirst || column.dtype === value.dtype ? value.dtype : undefined;
    column.shape = isFirst || (column.shape !== undefined && isSame(column.shape)) ? value.shape : undefined;
    addElements(column, value);
  } else if (typeof value === "number") {
    join(column, 1, value, 0);
    column.min = Math.min(column.min, value);
    column.max = Math.max(column.max, value);
  }
  const text = type === "text" || type === "boolean" || type === "integer" || type === "number" ? String(value) : "";
  if (column.values === undefined) return;
  column.values.set(text, (column.values.get(text) ?? 0) + 1);
  if (column.values.size > MOST_VALUES || text.length > 100) column.values = undefined;
}

/** What fields there are, and what their values are like: one pass, memory for the fields only. */
export interface Summary {
  add(record: DatasetRecord): void;
  fields(): readonly Field[];
  statistics(): Readonly<Record<string, FieldStatistics>>;
}

const finite = (name: string, value: number) => (Number.isFinite(value) ? { [name]: value } : {});

function statisticsOf(column: Column, records: number, personal: boolean): FieldStatistics {
  const { count, type, numbers, min, max, mean, squares, values } = column;
  const common = { count, missing: records - count };
  if (personal || type === undefined || type === "other" || type === "bytes" || count === 0) return common;
  const moments =
    numbers === 0
      ? {}
      : {
          ...finite("min", min),
          ...finite("max", max),
          ...finite("mean", mean),
          ...finite("standardDeviation", Math.sqrt(squares / numbers)),
        };
  if (type === "array" || values === undefined) return { ...common, ...moments };
  // Values that come once each are no classes: they would name the records.
  const areClasses = type !== "number" && values.size * 2 <= count;
  return {
    ...common,
    ...moments,
    distinct: values.size,
    ...(areClasses ? { counts: Object.fromEntries(values) } : {}),
  };
}

/** Starts a summary. A record that is no row of fields is taken as one field called "value". */
export function createSummary(notes: Readonly<Record<string, FieldNotes>> = {}): Summary {
  const columns = new Map<string, Column>();
  const noted = new Map(Object.entries(notes));
  let records = 0;
  const columnOf = (name: string): Column => {
    const known = columns.get(name);
    if (known !== undefined) return known;
    if (columns.size === MOST_FIELDS) {
      throw problem("provenance/too-large", `records expected at most ${MOST_FIELDS} different fields, got more`);
    }
    const column: Column = {
      type: undefined,
      dtype: undefined,
      shape: undefined,
      count: 0,
      numbers: 0,
      min: Number.POSITIVE_INFINITY,
      max: Number.NEGATIVE_INFINITY,
      mean: 0,
      squares: 0,
      values: new Map(),
    };
    columns.set(name, column);
    return column;
  };
  return {
    add(record) {
      records++;
      const row: FieldsRecord =
        record instanceof Uint8Array || isArray(record) ? { value: record } : (record as FieldsRecord);
      for (const name of Object.keys(row)) {
        const value = row[name];
        if (value === undefined) continue;
        const column = columnOf(name);
        if (value !== null) addValue(column, value);
      }
    },
    fields() {
      const unknown = [...noted.keys()].find((name) => !columns.has(name));
      if (unknown !== undefined && records > 0) {
        throw new RangeError(expected("fields", `names among ${[...columns.keys()].slice(0, 20).join(", ")}`, unknown));
      }
      return [...columns].map(([name, { type = "other", dtype, shape }]) => ({
        name,
        type,
        ...(type === "array" && dtype !== undefined ? { dtype } : {}),
        ...(type === "array" && shape !== undefined ? { shape: [...shape] } : {}),
        ...noted.get(name),
      }));
    },
    statistics: () =>
      Object.fromEntries(
        [...columns].map(([name, column]) => [name, statisticsOf(column, records, noted.get(name)?.personal === true)]),
      ),
  };
}
