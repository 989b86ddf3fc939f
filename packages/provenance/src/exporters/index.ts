import { croissant } from "./croissant.ts";
import { cyclonedx } from "./cyclonedx.ts";
import { modelCard } from "./model-card.ts";
import { openlineage } from "./openlineage.ts";
import { prov } from "./prov.ts";
import { slsa } from "./slsa.ts";
import { spdx } from "./spdx.ts";

/**
 * The exporters by the names of their formats, for programs that are told the format. All but `croissant`, which takes a
 * dataset's manifest, take a run.
 *
 * @example
 * ```ts
 * import { exporters } from "@parapet/provenance";
 * console.log(Object.keys(exporters).join(" ")); // => slsa cyclonedx spdx openlineage prov croissant modelCard
 * ```
 */
export const exporters = { slsa, cyclonedx, spdx, openlineage, prov, croissant, modelCard } as const;
