import type { LayerConverter } from "./context.ts";
import { activationLayers } from "./layers/activation-layers.ts";
import { convolutionLayers } from "./layers/convolution.ts";
import { denseLayers, shapeLayers } from "./layers/dense.ts";
import { imageLayers } from "./layers/image.ts";
import { mergeLayers } from "./layers/merge.ts";
import { normalizationLayers } from "./layers/normalization.ts";
import { poolingLayers } from "./layers/pooling.ts";

const identity: LayerConverter = (_, [x]) => x!;

/** A node that does nothing at inference, and drops out while training. */
const dropout: LayerConverter = ({ b, config }, [x]) => {
  const rate = config.number("rate", 0);
  if (rate < 0 || rate >= 1) throw config.malformed("rate", "a number in [0, 1)", rate);
  if (rate === 0 || config.get("noiseShape") !== undefined) return x!;
  return { ...x!, name: b.add("Dropout", [x!.name, b.scalar(rate)]) };
};

/** Every layer that is converted, by the name of its class. Noise does nothing at inference. */
export const layerConverters: ReadonlyMap<string, LayerConverter> = new Map(
  Object.entries({
    ...activationLayers,
    ...convolutionLayers,
    ...denseLayers,
    ...shapeLayers,
    ...imageLayers,
    ...mergeLayers,
    ...normalizationLayers,
    ...poolingLayers,
    AlphaDropout: identity,
    Dropout: dropout,
    GaussianDropout: identity,
    GaussianNoise: identity,
    SpatialDropout1D: identity,
  }),
);

/** Layers that take values of any type as they are. */
export const anyType: ReadonlySet<string> = new Set(["Embedding", "Flatten", "Permute", "RepeatVector", "Reshape"]);

/** Layers of several inputs. */
export const severalInputs: ReadonlySet<string> = new Set(Object.keys(mergeLayers));
