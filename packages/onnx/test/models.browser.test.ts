import { beforeAll, describe, it } from "vitest";
import { checkNetwork, networks } from "./helpers/exported.ts";
import { type Place, start } from "./helpers/runtimes.ts";

describe("wasm", () => {
  let place: Place;
  beforeAll(async () => {
    place = await start("wasm");
  });

  it.each(networks(/^(mnist-cnn|madry-cnn|resnet-eval|mobilenet|vit|less-common)/))("%s", (name) =>
    checkNetwork(name, place),
  );
});
