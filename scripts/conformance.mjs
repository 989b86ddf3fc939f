// npm run conformance: the public cases for the formats that are spoken here, from the folder named by PARAPET_VECTORS. Each
// package that has cases runs its own, and says how many passed; here they are added up.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.mjs";
import { setUp } from "./setup.mjs";
import { packages } from "./workspace.mjs";

await setUp({ build: false });
const total = { passed: 0, failed: 0, suites: 0 };
let broken = false;
for (const { name, directory } of packages) {
  const script = join(directory, "test", "conformance.ts");
  if (!existsSync(script)) continue;
  const { code, output } = await run(process.execPath, ["--import", "tsx", "--conditions=@parapet/source", script]);
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/m.exec(output) ?? [];
  process.stdout.write(output.replace(/^\d+ passed, \d+ failed\n/m, ""));
  if (passed !== undefined) {
    console.log(`${name}: ${passed} of ${Number(passed) + Number(failed)}`);
    total.passed += Number(passed);
    total.failed += Number(failed);
    total.suites++;
  }
  // 2: the folder has no cases of this package's.
  if (code !== 0 && code !== 2) broken = true;
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.suites === 0 ? 2 : broken || total.failed > 0 ? 1 : 0);
