import { type Classifier, concatRows, labelsOf, type NdArray, takeRows } from "@parapet/core";
import { assertSameBytes } from "../assert.ts";
import { demand } from "../law.ts";
import { type Checks, copyOf, reversed } from "./subject.ts";

/** What holds for the answers of every classifier. */
export const answers: Checks<Classifier> = {
  "logits are float32 [n, classes] and finite, labels int32 [n]": async ({ model, x, options }) => {
    const n = x.shape[0]!;
    const logits = await model.logits(x, options(x));
    const labels = await model.labels(x, options(x));
    const k = model.numClasses;
    demand(k >= 2, `numClasses: expected at least 2, got ${k}`);
    demand(logits.dtype === "float32" && logits.data instanceof Float32Array, `logits: got ${logits.dtype}`);
    demand(logits.shape.join() === `${n},${k}`, `logits: expected shape [${n}, ${k}], got [${logits.shape}]`);
    demand(logits.data.length === n * k, `logits: expected ${n * k} numbers, got ${logits.data.length}`);
    demand(logits.data.every(Number.isFinite), "logits: expected finite numbers");
    demand(labels.dtype === "int32" && labels.data instanceof Int32Array, `labels: got ${labels.dtype}`);
    demand(labels.shape.join() === `${n}`, `labels: expected shape [${n}], got [${labels.shape}]`);
    demand(labels.data.length === n, `labels: expected ${n} numbers, got ${labels.data.length}`);
  },

  "a label is the index of the row's largest logit": async ({ model, x, options }) => {
    const logits = await model.logits(x, options(x));
    assertSameBytes(await model.labels(x, options(x)), labelsOf(logits));
  },

  "the inputs of logits and labels stay as they are": async ({ model, x, options }) => {
    const before = copyOf(x);
    await model.logits(x, options(x));
    assertSameBytes(x, before);
    await model.labels(x, options(x));
    assertSameBytes(x, before);
  },

  "writing into an answer, or into the inputs later, changes no other answer": async ({ model, x, options, same }) => {
    const first = await model.logits(x, options(x));
    const expected = copyOf(first);
    const labels = await model.labels(x, options(x));
    const expectedLabels = labels.data.slice();
    const other = copyOf(x);
    const second = await model.logits(other, options(other));
    other.data.fill(model.bounds.lower instanceof Float32Array ? model.bounds.lower[0]! : model.bounds.lower);
    same(second, expected);
    first.data.fill(123);
    labels.data.fill(-1);
    same(second, expected);
    same(await model.logits(x, options(x)), expected);
    assertSameBytes((await model.labels(x, options(x))).data, expectedLabels);
  },

  "the same call gives the same logits and labels": async ({ model, x, options, same }) => {
    const first = await model.logits(x, options(x));
    const labels = await model.labels(x, options(x));
    for (let i = 0; i < 3; i++) {
      same(await model.logits(x, options(x)), first);
      assertSameBytes(await model.labels(x, options(x)), labels);
    }
  },

  "a row's logits do not depend on the size of the batch": async ({ model, x, options, same }) => {
    const n = x.shape[0]!;
    const all = await model.logits(x, options(x));
    for (let i = 0; i < n; i++) {
      const row = takeRows(x, Int32Array.of(i));
      same(await model.logits(row, options(row)), takeRows(all, Int32Array.of(i)));
    }
    const twice = concatRows([x, x]);
    same(await model.logits(twice, options(twice)), concatRows([all, all]));
  },

  "a row's logits do not depend on the order of the rows": async ({ model, x, options, same }) => {
    const order = reversed(x.shape[0]!);
    const all = await model.logits(x, options(x));
    const turned = takeRows(x, order);
    same(await model.logits(turned, options(turned)), takeRows(all, order));
  },

  "concurrent calls give what serial calls give": async ({ model, x, options, same }) => {
    const batches = Array.from({ length: x.shape[0]! }, (_, i) => takeRows(x, Int32Array.of(i, 0)));
    const serial: NdArray[] = [];
    for (const batch of batches) serial.push(await model.logits(batch, options(batch)));
    const concurrent = await Promise.all(batches.map((batch) => model.logits(batch, options(batch))));
    concurrent.forEach((logits, i) => {
      same(logits, serial[i]!);
    });
  },
};
