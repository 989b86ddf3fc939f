import type { Derivatives } from "../derivative.ts";
import { activations } from "./activations.ts";
import { arithmetic } from "./arithmetic.ts";
import { batchNorm } from "./batch-norm.ts";
import { conv } from "./conv.ts";
import { convTranspose } from "./conv-transpose.ts";
import { elementary } from "./elementary.ts";
import { gather } from "./gather.ts";
import { layout } from "./layout.ts";
import { linear } from "./linear.ts";
import { normalization } from "./normalization.ts";
import { pooling } from "./pooling.ts";
import { reductions } from "./reductions.ts";
import { resize } from "./resize.ts";
import { softmax } from "./softmax.ts";

/** Every operator that has a derivative. */
export const derivatives: Derivatives = {
  ...activations,
  ...arithmetic,
  ...batchNorm,
  ...conv,
  ...convTranspose,
  ...elementary,
  ...gather,
  ...layout,
  ...linear,
  ...normalization,
  ...pooling,
  ...reductions,
  ...resize,
  ...softmax,
};

/** Operators that pass nothing on: their outputs are integers, shapes, truths, random or steps. */
export const undifferentiated: ReadonlySet<string> = new Set([
  ...["Shape", "Size", "ConstantOfShape", "Constant", "Range", "EyeLike", "OneHot", "NonZero", "Unique"],
  ...["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Not", "And", "Or", "Xor", "IsNaN", "IsInf"],
  ...["Floor", "Ceil", "Round", "Sign", "ArgMax", "ArgMin", "Hardmax", "BitShift", "NonMaxSuppression"],
  ...["BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", "QuantizeLinear"],
  ...["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"],
]);
