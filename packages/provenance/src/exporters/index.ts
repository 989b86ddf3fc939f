import { slsa } from "./slsa.ts";
export const exporters = { slsa };
