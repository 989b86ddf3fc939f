import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium, type Page as Tab } from "playwright";
import { browserArguments, findBrowser } from "../../scripts/browser.mjs";
import type { Order } from "./timing.ts";

/** What is timed in a page: `runs` times, after `warmup` more. */
export interface Timing extends Omit<Order, "file"> {
  /** An ONNX file. The same array is sent once. */
  readonly model: Uint8Array;
  readonly threads: 1 | 2;
}

/** onnxruntime-web in a headless Chrome or Chromium. */
export interface Page {
  /** Milliseconds of each run. */
  time(timing: Timing): Promise<number[]>;
  close(): Promise<void>;
}

const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));

const document = `<!doctype html>
<script type="importmap">{ "imports": { "onnxruntime-web/wasm": "/onnxruntime/ort.wasm.bundle.min.mjs" } }</script>
<script type="module" src="/timing.js"></script>`;

const types: Readonly<Record<string, string>> = {
  "": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** Opens the browser, or gives undefined where there is none. */
export async function openPage(): Promise<Page | undefined> {
  const executablePath = findBrowser();
  if (executablePath === undefined) return undefined;

  const script = await build({
    entryPoints: [fileURLToPath(new URL("timing.ts", import.meta.url))],
    bundle: true,
    format: "esm",
    external: ["onnxruntime-web/wasm"],
    write: false,
    logLevel: "silent",
  });
  const models: Uint8Array[] = [];
  const found = (path: string): Uint8Array | string | undefined => {
    if (path === "/") return document;
    if (path === "/timing.js") return script.outputFiles[0]!.contents;
    if (path.startsWith("/model/")) return models[Number(basename(path))];
    if (path.startsWith("/onnxruntime/")) return readFileSync(join(runtime, basename(path)));
    return undefined;
  };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const body = found(pathname);
    response.writeHead(body === undefined ? 404 : 200, {
      "Content-Type": types[extname(pathname)] ?? "application/octet-stream",
      // Without these two a page has no threads.
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const browser = await chromium.launch({ executablePath, args: browserArguments });

  // onnxruntime-web has one number of threads in a page.
  const tabs = new Map<number, Promise<Tab>>();
  const open = async (threads: number): Promise<Tab> => {
    const tab = await browser.newPage();
    await tab.goto(`${address}/?threads=${threads}`);
    await tab.waitForFunction("globalThis.time");
    return tab;
  };
  return {
    async time({ model, threads, ...rest }) {
      if (!tabs.has(threads)) tabs.set(threads, open(threads));
      const tab = await tabs.get(threads)!;
      if (!models.includes(model)) models.push(model);
      return tab.evaluate((order) => globalThis.time(order), { ...rest, file: `/model/${models.indexOf(model)}` });
    },
    async close() {
      await browser.close();
      server.close();
    },
  };
}
