import type { Classifier } from "@parapet/core";
import { demand, refuses } from "../law.ts";
import type { Checks } from "./subject.ts";

/** What holds for a model whose answer depends on a random key. */
export const randomised: Checks<Classifier> = {
  "a randomised model refuses a call without keys, and one with too few": async ({ model, x }) => {
    await refuses("logits without keys", () => model.logits(x));
    await refuses("labels without keys", () => model.labels(x));
    await refuses("logits with n - 1 keys", () => model.logits(x, { keys: new Uint32Array(x.shape[0]! - 1) }));
  },

  "other keys give other logits": async ({ model, x }) => {
    const n = x.shape[0]!;
    const one = await model.logits(x, { keys: new Uint32Array(n).fill(1) });
    const two = await model.logits(x, { keys: new Uint32Array(n).fill(2) });
    demand(
      one.data.some((value, i) => value !== two.data[i]),
      "logits: expected different ones under different keys, got the same",
    );
  },
};
