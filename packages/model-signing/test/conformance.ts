// npm run conformance: every case of the suites under PARAPET_VECTORS, or ../shared/vectors.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { casesOf, verifyCase } from "./helpers/suite.ts";

const folder = resolve(process.env.PARAPET_VECTORS ?? "../shared/vectors");
const suite = [join(folder, "oms", "conformance"), folder].find((path) => existsSync(join(path, "verify")));
if (suite === undefined) {
  console.error(`there is no suite under ${folder}: PARAPET_VECTORS names the folder`);
  process.exit(2);
}
let passed = 0;
let failed = 0;
for (const given of casesOf(suite)) {
  const { group, name, config } = given;
  const outcome = await verifyCase(suite, given).then(
    (files) => files,
    (error: Error & { code?: string }) => error,
  );
  const refused = outcome instanceof Error && String((outcome as { code?: string }).code).startsWith("model-signing/");
  const wanted = config.expected_signed_files;
  const good =
    config.expect === "fail"
      ? refused
      : Array.isArray(outcome) && (wanted === undefined || [...wanted].sort().join("\n") === outcome.join("\n"));
  good ? passed++ : failed++;
  if (!good) console.log(`FAILED ${group}/${name}: ${outcome instanceof Error ? outcome.message : outcome.join(", ")}`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
