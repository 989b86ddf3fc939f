import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parapetSign } from "@parapet/model-signing/node/cli";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

// A site as a web server would have it, a publisher and a client, by the command alone.
let scratch: string;
let server: Server;
let url: string;
const at = (...parts: string[]) => join(scratch, ...parts);

async function result(...args: string[]): Promise<{ code: number; json: never; err: string }> {
  let said = "";
  const spy = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    said += text;
    return true;
  });
  try {
    const code = await parapetSign([...args, "--json"]);
    return { code, json: JSON.parse(said) as never, err: "" };
  } finally {
    spy.mockRestore();
  }
}

const model = async (text: string) => {
  rmSync(at("digits"), { recursive: true, force: true });
  mkdirSync(at("digits", "data"), { recursive: true });
  writeFileSync(at("digits", "model.json"), "{}");
  writeFileSync(at("digits", "data", "w.bin"), text);
  expect((await result("sign", at("digits"), "--key", at("release.pem"), "--output", at("digits.sig"))).code).toBe(0);
};
const publish = (version: string, ...more: string[]) =>
  result(
    ...["publish", at("site"), "--key", at("repository.pem"), "--model", at("digits"), "--signature", at("digits.sig")],
    ...["--version", version, "--public-key", at("release.pub.pem"), ...more],
  );
const update = (...more: string[]) =>
  result(
    ...["update", url, "--root", at("root.json"), "--path", "digits.sig", "--folder", at("models")],
    ...["--key", at("release.pub.pem"), ...more],
  );
const weights = (location: string) => readFileSync(join(location, "data", "w.bin"), "utf8");

beforeEach(async () => {
  scratch = mkdtempSync(join(tmpdir(), "parapet-updates-"));
  server = createServer((request, response) => {
    const path = at("site", decodeURIComponent(request.url ?? "/"));
    if (existsSync(path)) response.end(readFileSync(path));
    else response.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  for (const name of ["repository", "release"]) {
    expect((await result("keygen", "--output", at(`${name}.pem`), "--unencrypted")).code).toBe(0);
  }
  await model("one");
  expect((await publish("1.0.0")).code).toBe(0);
  writeFileSync(at("root.json"), readFileSync(at("site", "metadata", "1.root.json")));
});
afterEach(() => {
  server.close();
  rmSync(scratch, { recursive: true, force: true });
});

it("publishes to a folder and updates from a server, with the previous version kept", async () => {
  const first = await update();
  expect(first).toMatchObject({ code: 0, json: { switched: true, current: { name: "digits", version: "1.0.0" } } });
  expect(weights((first.json as { current: { location: string } }).current.location)).toBe("one");
  expect(await update()).toMatchObject({ code: 0, json: { switched: false } });

  await model("two");
  expect((await publish("1.1.0", "--minimum-version", "1.0.0")).code).toBe(0);
  const second = await update();
  expect(second).toMatchObject({
    json: { switched: true, current: { version: "1.1.0" }, previous: { version: "1.0.0" } },
  });
  const { current, previous } = second.json as Record<"current" | "previous", { location: string }>;
  expect([weights(current.location), weights(previous.location)]).toEqual(["two", "one"]);

  // Going back is a release of the older files with a higher version.
  await model("one");
  expect((await publish("1.1.1", "--revoke", "1.1.0=it was wrong")).code).toBe(0);
  const third = await update();
  expect(third).toMatchObject({ json: { switched: true, current: { version: "1.1.1" } } });
  expect(weights((third.json as { current: { location: string } }).current.location)).toBe("one");
});

it("signs anew without a model", async () => {
  const before = readFileSync(at("site", "metadata", "timestamp.json"), "utf8");
  const again = await result("publish", at("site"), "--key", at("repository.pem"), "--renew", "targets");
  expect(again).toMatchObject({ code: 0, json: { written: expect.arrayContaining(["metadata/2.targets.json"]) } });
  expect(readFileSync(at("site", "metadata", "timestamp.json"), "utf8")).not.toBe(before);
  expect((await update()).code).toBe(0);
});

it("publishes nothing that clients would refuse", async () => {
  const before = readdirSync(at("site", "metadata"));
  writeFileSync(at("digits", "data", "w.bin"), "other");
  expect(await publish("1.1.0")).toMatchObject({ code: 1, json: { error: { code: "model-signing/changed" } } });
  await model("two");
  expect(await publish("1.0.0")).toMatchObject({ code: 2 });
  expect(await publish("0.9.0")).toMatchObject({ code: 2 });
  expect(await publish("1.1")).toMatchObject({ code: 1, json: { error: { code: "model-signing/update-malformed" } } });
  expect((await result("keygen", "--output", at("other.pem"), "--unencrypted")).code).toBe(0);
  const stranger = await result("publish", at("site"), "--key", at("other.pem"));
  expect(stranger).toMatchObject({ code: 1, json: { error: { code: "model-signing/update-signature" } } });
  expect(readdirSync(at("site", "metadata"))).toEqual(before);
  expect(readdirSync(at("site", "models", "digits"))).toEqual(["1.0.0"]);
});

it("takes no files that were changed on the server, and keeps the current version", async () => {
  await update();
  await model("two");
  await publish("1.1.0");
  writeFileSync(at("site", "models", "digits", "1.1.0", "data", "w.bin"), "bad");
  expect(await update()).toMatchObject({ code: 1, json: { error: { code: "model-signing/changed" } } });
  const versions = readdirSync(at("models")).filter((name) => name !== "state");
  expect(versions).toHaveLength(1);
  expect(weights(at("models", versions[0]!))).toBe("one");
});

it("says what is missing", async () => {
  expect((await result("update", url)).code).toBe(2);
  expect((await result("publish")).code).toBe(2);
  expect((await result("publish", at("site"))).code).toBe(2);
  expect((await result("update", url, "--root", at("no"), "--path", "x", "--folder", at("m"))).code).toBe(3);
  rmSync(at("site"), { recursive: true });
  expect(await update()).toMatchObject({ code: 1, json: { error: { code: "model-signing/update-unavailable" } } });
});
