import { cyclonedx } from "./cyclonedx.ts";
import { openlineage } from "./openlineage.ts";
import { prov } from "./prov.ts";
import { slsa } from "./slsa.ts";

export const exporters = { slsa, cyclonedx, openlineage, prov };
