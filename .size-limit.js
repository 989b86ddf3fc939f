// What each entry may cost a page, with what it imports of ours, without its peers; minified and compressed with brotli.
// "all" is the whole entry, "least" the smallest import that is of use: about 15 % above what they were when they were
// last looked at. Where one is passed, either the code can do without, or the number is raised in the same commit.
import { relative } from "node:path";
import { packages, root } from "./scripts/workspace.mjs";

const budgets = {
  "@parapet/core": { all: "10.5 kB", least: ["{ createRng }", "1.4 kB"] },
  "@parapet/attestation": { all: "9 kB", least: ["{ createVerifier, verifyEnvelope, readEnvelope }", "5 kB"] },
  "@parapet/attestation/small": { all: "15 kB", least: ["{ ed25519Verifier }", "11.5 kB"] },
  "@parapet/attestation/extensions": { all: "3.6 kB", least: ["{ mlDsaVerifier }", "3 kB"] },
  "@parapet/model-signing": { all: "23 kB", least: ["{ verifyModel }", "13 kB"] },
  "@parapet/model-signing/containers": { all: "14 kB", least: ["{ readSafetensors }", "5 kB"] },
  "@parapet/model-signing/updates": { all: "17.5 kB", least: ["{ createUpdater }", "12 kB"] },
  "@parapet/provenance": { all: "60 kB", least: ["{ verify }", "12 kB"] },
  "@parapet/tfjs": { all: "9 kB", least: ["{ fromLayersModel }", "8.4 kB"] },
  "@parapet/tfjs/fast-wasm": { all: "6.9 kB", least: ["{ registerFastGradients }", "6.8 kB"] },
  "@parapet/onnx": { all: "50 kB", least: ["{ fromOnnx }", "45 kB"] },
  "@parapet/attacks": { all: "70 kB", least: ["{ pgd }", "6 kB"] },
  "@parapet/adversarial-training": { all: "5.5 kB", least: ["{ adversarialTraining }", "5.3 kB"] },
  "@parapet/testing": { all: "21 kB", least: ["{ classifierLaws }", "13.4 kB"] },
};

export default packages.flatMap(({ directory, manifest, entries }) =>
  Object.keys(entries).flatMap((entry) => {
    if (/\/node(\/|$)/.test(entry)) return []; // no page loads it
    const budget = budgets[entry];
    if (budget === undefined) throw new Error(`${entry} has no budget in .size-limit.js`);
    const file = manifest.exports[`.${entry.slice(manifest.name.length)}`].default;
    const path = `${relative(root, directory)}/${file.slice(2)}`;
    const common = { path, ignore: Object.keys(manifest.peerDependencies ?? {}) };
    const [names, limit] = budget.least;
    return [
      { ...common, name: entry, import: "*", limit: budget.all },
      { ...common, name: `${entry} ${names}`, import: names, limit },
    ];
  }),
);
