// What each package may cost a page, with what it imports of ours, without its peers; minified and compressed with brotli.
// "all" is the whole package, "least" the smallest import that is of use. A new package takes a line here.
import { packages } from "./scripts/workspace.mjs";

const budgets = {
  core: { all: "6 kB", least: ["{ createRng }", "2 kB"] },
  tfjs: { all: "6 kB", least: ["{ fromLayersModel }", "4 kB"] },
  attacks: { all: "4 kB", least: ["{ fgsm }", "3 kB"] },
  "adversarial-training": { all: "4 kB", least: ["{ adversarialTraining }", "4 kB"] },
  testing: { all: "6 kB", least: ["{ classifierLaws }", "4 kB"] },
};

export default packages.flatMap(({ name, manifest }) => {
  const { all, least } = budgets[name] ?? {};
  if (all === undefined) throw new Error(`${name} has no budget in .size-limit.js`);
  const common = { path: `packages/${name}/dist/index.js`, ignore: Object.keys(manifest.peerDependencies ?? {}) };
  return [
    { ...common, name: `${name}: all`, import: "*", limit: all },
    { ...common, name: `${name}: ${least[0]}`, import: least[0], limit: least[1] },
  ];
});
