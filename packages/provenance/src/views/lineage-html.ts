import type { Run } from "../run.ts";
export const lineageHtml = (_runs: readonly Run[]): string => "<!doctype html>";
