import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openlineage } from "@parapet/provenance";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { hostileRun, minimalRun, sampleRun } from "./sample-run.ts";

/** Every event of the sample runs and each facet in it, by the schema that it names itself; undefined where it is as it should be. */
export function openLineageProblems(folder: string): readonly (readonly [name: string, why: string | undefined])[] {
  const ajv = new Ajv2020({ strict: false });
  formats.default(ajv);
  const add = (...path: readonly string[]) => ajv.addSchema(JSON.parse(readFileSync(join(folder, ...path), "utf8")));
  add("OpenLineage.json");
  for (const file of readdirSync(join(folder, "facets"))) add("facets", file);
  const why = (value: unknown, address: string): string | undefined => {
    const validate = ajv.getSchema(address);
    if (validate === undefined) return `${address} is not known`;
    return validate(value) ? undefined : ajv.errorsText(validate.errors);
  };
  const facets = (value: unknown): { readonly _schemaURL: string }[] => {
    if (typeof value !== "object" || value === null) return [];
    const inside = Object.values(value).flatMap(facets);
    return "_schemaURL" in value ? [value as { readonly _schemaURL: string }, ...inside] : inside;
  };
  return Object.entries({ sampleRun, hostileRun, minimalRun }).flatMap(([name, run]) =>
    (openlineage(run) as unknown as readonly { readonly schemaURL: string }[]).map((event, i) => {
      const problems = [why(event, event.schemaURL), ...facets(event).map((facet) => why(facet, facet._schemaURL))];
      return [`${name}, event ${i}`, problems.find((one) => one !== undefined)] as const;
    }),
  );
}
