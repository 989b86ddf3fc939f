import { expected, ParapetError } from "@parapet/core";
import type { Graph, Model } from "./graph.ts";
import type { OnnxErrorCode } from "./problem.ts";
import { type OnnxRuntime, type Program, type Results, type SessionOptions, startProgram } from "./runtime.ts";

/** The largest difference from the CPU's answer, as a share of it, that is put down to rounding. */
const ROUNDING = 0.1;

/**
 * Starts a program whose first answer is held against that of the CPU, where it runs elsewhere: kernels for GPUs are
 * wrong for some shapes, and do not say so.
 */
export async function startChecked(
  runtime: OnnxRuntime,
  model: Model,
  graph: Graph,
  options: SessionOptions | undefined,
): Promise<Program> {
  const program = await startProgram(runtime, model, graph, options);
  let trusted = !leavesCpu(options);
  return {
    ...program,
    async run(feeds, fetches) {
      const results = await program.run(feeds, fetches);
      if (trusted) return results;
      const cpu = await startProgram(runtime, model, graph, { logSeverityLevel: 4 });
      try {
        const off = difference(results, await cpu.run(feeds));
        if (off > ROUNDING) {
          throw new ParapetError<OnnxErrorCode>(
            "onnx/runtime",
            expected("executionProviders", "some that compute what the CPU does", `a difference of ${off.toFixed(2)}`),
          );
        }
      } finally {
        await cpu.release();
      }
      trusted = true;
      return results;
    },
  };
}

function leavesCpu(options: SessionOptions | undefined): boolean {
  const providers = (options?.executionProviders ?? []) as readonly (string | { readonly name: string })[];
  return providers.some((one) => !["cpu", "wasm"].includes(typeof one === "string" ? one : one.name));
}

/**
 * The largest difference of an output, as a share of its length, or of a ten-thousandth of the longest one: what cancels
 * to nothing is rounding. Where the CPU gives no number, any will do.
 */
function difference(actual: Results, expected: Results): number {
  const lengths = Object.entries(expected).flatMap(([name, { data: wanted }]) => {
    const found = actual[name]?.data;
    if (!(wanted instanceof Float32Array && found instanceof Float32Array)) return [];
    let [off, length] = [0, 0];
    wanted.forEach((number, i) => {
      if (!Number.isFinite(number)) return;
      off += Number.isNaN(found[i]) ? Number.POSITIVE_INFINITY : (number - found[i]!) ** 2;
      length += number ** 2;
    });
    return [{ off: Math.sqrt(off), length: Math.sqrt(length) }];
  });
  const longest = Math.max(...lengths.map(({ length }) => length));
  return Math.max(0, ...lengths.map(({ off, length }) => off / Math.max(length, 1e-4 * longest, 1e-30)));
}
