import { type NdArray, type Progress, takeRows } from "@parapet/core";
import { assertSameBytes } from "../assert.ts";
import { demand, failureOf } from "../law.ts";
import { countingModel } from "../models/counting.ts";
import { onCall } from "../models/wrap.ts";
import type { AttackChecks } from "./subject.ts";

/** That what an attack tells is true, and that it does what it is told. */
export const honesty: AttackChecks = {
  "success agrees with a fresh look at the result": async ({ model, goals, run, epsilon }) => {
    const seen = new Set<number>();
    for (const goal of goals) {
      for (const radius of [epsilon / 64, epsilon, 4 * epsilon]) {
        const { adversarial, success } = await run(goal, { epsilon: radius });
        const fresh = goal.isReached(await model.logits(adversarial));
        assertSameBytes(success, fresh);
        for (const reached of fresh.data) seen.add(reached);
      }
    }
    demand(seen.size === 2, "success: expected some of both kinds among the runs; choose another problem");
  },

  "queries and gradients are what the model was asked": async ({ model, x, goals, run }) => {
    for (const goal of goals) {
      for (const rows of [...Array.from(goal.classes, (_, i) => Int32Array.of(i)), undefined]) {
        const counting = countingModel(model);
        const { queries, gradients } = await run(rows ? goal.take(rows) : goal, {
          model: counting.model,
          x: rows ? takeRows(x, rows) : x,
        });
        const what = rows ? `row ${rows[0]}` : "all rows";
        const told = { queries: sum(queries), gradients: sum(gradients) };
        const asked = counting.counts();
        demand(told.queries === asked.queries, `${what}: told ${told.queries} queries, asked ${asked.queries}`);
        demand(told.gradients === asked.gradients, `${what}: told ${told.gradients} gradients, got ${asked.gradients}`);
      }
    }
  },

  "progress never decreases and reaches its total": async ({ goals, run }) => {
    for (const goal of goals) {
      const events: Progress[] = [];
      await run(goal, { onProgress: (event) => events.push(event) });
      demand(events.length > 0, "progress: expected events, got none");
      let before = 0;
      for (const { done, total } of events) {
        demand(done >= before && done <= total, `progress: expected ${before} to ${total}, got ${done}`);
        demand(total === events[0]!.total, `progress: expected total ${events[0]!.total} throughout, got ${total}`);
        before = done;
      }
      const { done, total } = events.at(-1)!;
      demand(done === total, `progress: expected ${total} at the end, got ${done}`);
    }
  },

  "an aborted signal rejects with its reason, before the model is asked": async ({ model, goals, run }) => {
    const signal = AbortSignal.abort(new Error("aborted before it began"));
    const counting = countingModel(model);
    const error = await failureOf("an attack with an aborted signal", () =>
      run(goals[0]!, { signal, model: counting.model }),
    );
    demand(error === signal.reason, `expected the signal's reason, got ${String(error)}`);
    demand(counting.counts().queries === 0, `queries: expected 0, got ${counting.counts().queries}`);
  },

  "a signal aborted on the way stops it at the next call": async ({ model, goals, run }) => {
    const goal = goals[0]!;
    let total = 0;
    await run(goal, { model: onCall(model, () => void total++) });
    // Not in the last call: an attack that has its answer by then may give it.
    for (const at of new Set([0, Math.floor(total / 2), total - 2].filter((call) => call >= 0 && call < total - 1))) {
      const controller = new AbortController();
      const reason = new Error("aborted on the way");
      let calls = 0;
      const model2 = onCall(model, () => {
        if (calls++ === at) controller.abort(reason);
      });
      const error = await failureOf(`an attack aborted in call ${at}`, () =>
        run(goal, { model: model2, signal: controller.signal }),
      );
      demand(error === reason, `expected the signal's reason, got ${String(error)}`);
      demand(calls <= at + 1, `calls of the model: expected ${at + 1}, got ${calls}`);
    }
  },

  "the signal is handed on to the model": async ({ model, goals, run }) => {
    const { signal } = new AbortController();
    const handed: boolean[] = [];
    await run(goals[0]!, { signal, model: onCall(model, (_, options) => handed.push(options?.signal !== undefined)) });
    demand(handed.every(Boolean), "options.signal in every call of the model: expected a signal, got none");
  },

  "an error of the model comes out as it is": async ({ model, goals, run }) => {
    const reason = new Error("the model's own error");
    const broken = onCall(model, () => {
      throw reason;
    });
    const error = await failureOf("an attack on a broken model", () => run(goals[0]!, { model: broken }));
    demand(error === reason, `expected the model's error, got ${String(error)}`);
  },

  "a model that never answers a number is not a success": async ({ model, goals, run }) => {
    const nan = (array: NdArray): NdArray => ({ ...array, data: array.data.map(() => Number.NaN) });
    const silent = {
      ...onCall(model, () => {}),
      logits: async (x: NdArray) => nan(await model.logits(x)),
      gradient: async (x: NdArray, loss: Parameters<typeof model.gradient>[1]) => {
        const { logits, value, gradient } = await model.gradient(x, loss);
        return { logits: nan(logits), value: nan(value), gradient: nan(gradient) };
      },
    };
    for (const goal of goals) {
      const { success, adversarial } = await run(goal, { model: silent });
      demand(
        success.data.every((reached) => reached === 0),
        "success on NaN logits: expected 0, got 1",
      );
      demand(adversarial.data.every(Number.isFinite), "adversarial after NaN gradients: expected finite values");
    }
  },
};

function sum({ data }: NdArray<"int32">): number {
  return data.reduce((total, value) => total + value, 0);
}
