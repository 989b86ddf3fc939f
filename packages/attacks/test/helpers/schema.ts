/** The part of JSON schema that ours are written in. */
export interface Schema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly anyOf?: readonly Schema[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
}

const known = new Set(
  "$schema $id $ref $defs title description anyOf const enum type properties required additionalProperties items minItems minimum maximum pattern".split(
    " ",
  ),
);

/** What is wrong with a value, one line each; a keyword that is not understood is wrong, too. */
export function violations(value: unknown, schema: Schema, root = schema, path = "$"): readonly string[] {
  const found = Object.keys(schema)
    .filter((word) => !known.has(word))
    .map((word) => `${path}: unknown keyword ${word}`);
  const wrong = (what: string) => {
    found.push(`${path}: ${what}, got ${JSON.stringify(value)?.slice(0, 80)}`);
  };
  if (schema.$ref !== undefined) {
    const target = root.$defs?.[schema.$ref.replace("#/$defs/", "")];
    if (target === undefined) wrong(`unknown ${schema.$ref}`);
    else found.push(...violations(value, target, root, path));
  }
  const fits = (each: Schema) => violations(value, each, root, path).length === 0;
  if (schema.anyOf !== undefined && !schema.anyOf.some(fits)) wrong("none of anyOf");
  if (schema.const !== undefined && value !== schema.const) wrong(`expected ${schema.const}`);
  if (schema.enum !== undefined && !schema.enum.includes(value)) wrong(`expected one of ${schema.enum}`);
  const kinds = schema.type === undefined ? [] : [schema.type].flat();
  if (kinds.length > 0 && !kinds.some((kind) => isA(kind, value))) wrong(`expected ${kinds}`);
  if (typeof value === "number") {
    if (value < (schema.minimum ?? value)) wrong(`expected >= ${schema.minimum}`);
    if (value > (schema.maximum ?? value)) wrong(`expected <= ${schema.maximum}`);
  }
  if (typeof value === "string" && schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) {
    wrong(`expected ${schema.pattern}`);
  }
  if (Array.isArray(value)) {
    if (value.length < (schema.minItems ?? 0)) wrong(`expected at least ${schema.minItems} items`);
    if (schema.items !== undefined) {
      value.forEach((item, i) => {
        found.push(...violations(item, schema.items!, root, `${path}[${i}]`));
      });
    }
  } else if (typeof value === "object" && value !== null) {
    for (const name of schema.required ?? []) if (!(name in value)) wrong(`expected a ${name}`);
    for (const [name, item] of Object.entries(value)) {
      const own = schema.properties?.[name] ?? schema.additionalProperties ?? true;
      if (own === false) wrong(`unknown property ${name}`);
      else if (own !== true) found.push(...violations(item, own, root, `${path}.${name}`));
    }
  }
  return found;
}

function isA(kind: string, value: unknown): boolean {
  if (kind === "null") return value === null;
  if (kind === "array") return Array.isArray(value);
  if (kind === "integer") return Number.isInteger(value);
  if (kind === "number") return typeof value === "number" && Number.isFinite(value);
  if (kind === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return typeof value === kind;
}
