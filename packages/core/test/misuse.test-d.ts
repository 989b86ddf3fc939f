// What must not compile. `tsc` reports an error that does not come as well as one that should not.
import type {
  Attack,
  Classifier,
  DifferentiableClassifier,
  Goal,
  Labeler,
  NdArray,
  Rng,
  SecureRng,
  TrainableClassifier,
} from "../src/index.ts";

declare const rng: Rng;
declare const secure: SecureRng;
declare const labeler: Labeler;
declare const classifier: Classifier;
declare const whiteBox: DifferentiableClassifier;
declare const learner: TrainableClassifier;
declare const x: NdArray;
declare const goal: Goal;
declare const attack: Attack;
declare const training: Attack<TrainableClassifier>;
declare const decisions: Attack<Labeler>;

// Randomness for experiments is no source of secrets, and the other way round.
// @ts-expect-error an Rng has no bytes
const _secret: SecureRng = rng;
// @ts-expect-error a SecureRng cannot be replayed
const _replayed: Rng = secure;
// @ts-expect-error an attack's randomness is reproducible
void attack(whiteBox, x, goal, { rng: secure });

// Capability is the type: handing a black box to a gradient attack does not compile.
// @ts-expect-error no gradients
void attack(classifier, x, goal, { rng });
// @ts-expect-error not even scores
void attack(labeler, x, goal, { rng });
// @ts-expect-error cannot learn
void training(whiteBox, x, goal, { rng });
void attack(learner, x, goal, { rng });
void decisions(whiteBox, x, goal, { rng });
// @ts-expect-error an attack that asks for more power is no attack that asks for less
const _less: Attack<Labeler> = attack;
decisions satisfies Attack;

// A dtype and its data belong together.
// @ts-expect-error int32 in a Float32Array
const _mixed: NdArray<"int32"> = { dtype: "int32", shape: [1], data: new Float32Array(1) };
// @ts-expect-error logits are not labels
const _labels: NdArray<"int32"> = x;
// @ts-expect-error arrays are read-only by type
x.shape[0] = 2;
// @ts-expect-error the source of randomness is always given
void attack(whiteBox, x, goal, {});
