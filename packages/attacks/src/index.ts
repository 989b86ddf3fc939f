export { type FgsmOptions, fgsm } from "./fgsm.ts";
export { type PgdOptions, pgd } from "./pgd.ts";
