/** Everything that decides the result, together with the seed. */
export const settings = {
  epsilon: 0.3,
  /** The last training images are held back to choose the best epoch; no test image chooses anything. */
  validationImages: 1000,
  testImages: 1000,
  curveRadii: [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4],
  batchSize: 100,
  standard: { steps: 590, learningRate: 1e-3 },
  hardened: { epochs: 5, peakLearningRate: 5e-3 },
  validationAttack: { steps: 20, stepSize: 0.02 },
  testAttack: { steps: 40, stepSize: 0.01 },
  /** Finds how far the nearest wrong answer lies. */
  distanceAttack: { steps: 50, targets: 1, restarts: 1 },
} as const;

export type Settings = typeof settings;
