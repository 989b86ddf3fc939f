import { shown } from "../problem.ts";
import type { DatasetManifest, Field } from "./manifest.ts";
import {
  checkCount,
  checkHex,
  checkList,
  checkText,
  checkTime,
  dictionaryOf,
  membersOf,
  type Refuse,
} from "./strict.ts";

/** Most records of a dataset, so that its commitments fit into one piece of memory. */
export const MOST_RECORDS = 2 ** 25;

const SCHEMA: DatasetManifest["schema"] = "urn:parapet:evidence:dataset:v1";

const TYPES: readonly Field["type"][] = ["number", "integer", "text", "boolean", "bytes", "array", "other"];

/** The root of no records: SHA-256 of nothing. */
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

type Check = (what: string, value: unknown, refuse: Refuse) => void;

const optional = (
  members: Readonly<Record<string, unknown>>,
  name: string,
  what: string,
  refuse: Refuse,
  check: Check,
) => {
  if (Object.hasOwn(members, name)) check(`${what}.${name}`, members[name], refuse);
};

const checkBoolean: Check = (what, value, refuse) => {
  if (typeof value !== "boolean") throw refuse(`${what} expected true or false, got ${typeof value}`);
};

const checkNumber: Check = (what, value, refuse) => {
  if (!Number.isFinite(value)) throw refuse(`${what} expected a finite number, got ${typeof value}`);
};

const checkName: Check = (what, value, refuse) => {
  if (typeof value !== "string" || value.length > 1000)
    throw refuse(`${what} expected text of at most 1000 characters`);
};

const checkField: Check = (what, value, refuse) => {
  const field = membersOf(what, value, ["name", "type", "dtype?", "shape?", "description?", "personal?"], refuse);
  checkName(`${what}.name`, field.name, refuse);
  if (!TYPES.includes(field.type as Field["type"])) throw refuse(`${what}.type expected one of ${TYPES.join(", ")}`);
  const isArray = field.type === "array";
  if (!isArray && (Object.hasOwn(field, "dtype") || Object.hasOwn(field, "shape"))) {
    throw refuse(`${what} expected "dtype" and "shape" of arrays only`);
  }
  optional(field, "dtype", what, refuse, checkText);
  optional(field, "shape", what, refuse, (name, shape) => checkList(name, shape, refuse, checkCount, 255));
  optional(field, "description", what, refuse, checkText);
  optional(field, "personal", what, refuse, checkBoolean);
};

const MOMENTS = ["min", "max", "mean", "standardDeviation"];

function checkStatistics(what: string, value: unknown, refuse: Refuse, records: number): void {
  const names = ["count", "missing", "distinct?", "counts?", ...MOMENTS.map((name) => `${name}?`)];
  const one = membersOf(what, value, names, refuse);
  checkCount(`${what}.count`, one.count, refuse);
  checkCount(`${what}.missing`, one.missing, refuse);
  if (one.count + one.missing !== records)
    throw refuse(`${what} expected "count" and "missing" to be ${records} together`);
  for (const name of MOMENTS) optional(one, name, what, refuse, checkNumber);
  optional(one, "distinct", what, refuse, checkCount);
  optional(one, "counts", what, refuse, (name, counts) => {
    const each = Object.entries(dictionaryOf(name, counts, refuse));
    if (each.length !== one.distinct) throw refuse(`${name} expected as many values as "distinct" says`);
    let sum = 0;
    for (const [text, count] of each) {
      checkCount(`${name}[${shown(text)}]`, count, refuse);
      sum += count;
    }
    if (sum !== one.count) throw refuse(`${name} expected to be ${one.count} together, got ${sum}`);
  });
}

const checkConsent: Check = (what, value, refuse) => {
  const consent = membersOf(what, value, ["basis", "purposes?", "expires?", "notes?"], refuse);
  checkText(`${what}.basis`, consent.basis, refuse);
  optional(consent, "purposes", what, refuse, (name, list) => checkList(name, list, refuse, checkText));
  optional(consent, "expires", what, refuse, checkTime);
  optional(consent, "notes", what, refuse, checkText);
};

/** Names that lead out of a folder are refused: somebody will join one with a path. */
const checkFileName: Check = (what, value, refuse) => {
  checkText(what, value, refuse, 4096);
  const isBad = value.split("/").some((part) => part === "" || part === "." || part === "..");
  if (isBad || /[\\\p{Cc}]/u.test(value) || /^[a-z]:/i.test(value)) {
    throw refuse(`${what} expected a relative path with "/", without "..", got ${shown(value)}`);
  }
};

const checkFile: Check = (what, value, refuse) => {
  const file = membersOf(what, value, ["name", "size", "sha256", "mediaType?"], refuse);
  checkFileName(`${what}.name`, file.name, refuse);
  checkCount(`${what}.size`, file.size, refuse);
  checkHex(`${what}.sha256`, file.sha256, refuse);
  optional(file, "mediaType", what, refuse, checkText);
};

const checkSource: Check = (what, value, refuse) => {
  const source = membersOf(what, value, ["uri", "sha256?"], refuse);
  checkText(`${what}.uri`, source.uri, refuse);
  optional(source, "sha256", what, refuse, checkHex);
};

function checkOnce(what: string, names: readonly string[], refuse: Refuse): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw refuse(`${what} expected each name once, got ${shown(name)} twice`);
    seen.add(name);
  }
}

const NEEDED = ["schema", "name", "records", "root", "sortedRoot", "fields"];
const TEXTS = ["version", "description", "licence", "citation"];
const OTHERS = ["files", "statistics", "consent", "creators", "sources", "created", "notes"];
const MEMBERS = [...NEEDED, ...[...TEXTS, ...OTHERS].map((name) => `${name}?`)];

/** Checks a value that is to be a manifest. */
export function checkManifest(value: unknown, refuse: Refuse): DatasetManifest {
  const what = "manifest";
  const members = membersOf(what, value, MEMBERS, refuse);
  if (members.schema !== SCHEMA) throw refuse(`manifest.schema expected ${SCHEMA}`);
  checkText("manifest.name", members.name, refuse);
  const { records } = members;
  checkCount("manifest.records", records, refuse, MOST_RECORDS);
  checkHex("manifest.root", members.root, refuse);
  checkHex("manifest.sortedRoot", members.sortedRoot, refuse);
  if (records === 0 && members.root !== EMPTY) throw refuse("manifest.root expected that of no records");
  if (records < 2 && members.root !== members.sortedRoot) throw refuse("manifest.sortedRoot expected to be the root");
  checkList("manifest.fields", members.fields, refuse, checkField, 1000);
  const names = (members.fields as readonly Field[]).map(({ name }) => name);
  checkOnce("manifest.fields", names, refuse);
  for (const name of TEXTS) optional(members, name, what, refuse, checkText);
  optional(members, "created", what, refuse, checkTime);
  optional(members, "consent", what, refuse, checkConsent);
  optional(members, "creators", what, refuse, (name, list) => checkList(name, list, refuse, checkText));
  optional(members, "sources", what, refuse, (name, list) => checkList(name, list, refuse, checkSource));
  optional(members, "files", what, refuse, (name, list) => {
    checkList(name, list, refuse, checkFile, 1_000_000);
    checkOnce(
      name,
      (list as readonly { readonly name: string }[]).map((file) => file.name),
      refuse,
    );
  });
  optional(members, "statistics", what, refuse, (name, all) => {
    for (const [field, one] of Object.entries(dictionaryOf(name, all, refuse))) {
      if (!names.includes(field)) throw refuse(`${name} expected names of fields, got ${shown(field)}`);
      checkStatistics(`${name}[${shown(field)}]`, one, refuse, records);
    }
  });
  optional(members, "notes", what, refuse, dictionaryOf);
  return members as unknown as DatasetManifest;
}
