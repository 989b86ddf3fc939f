import { afterEach, describe, expect, it } from "vitest";
import { lineageHtml, type Run } from "../../src/index.ts";
import { visible } from "../../src/views/visible.ts";
import { hostileNames, hostileRun, largeRun, sampleIds, sampleRun } from "../helpers/sample-run.ts";

// The page as it is, in a frame of its own.
let frame: HTMLIFrameElement | undefined;
afterEach(() => frame?.remove());

async function open(run: Run | readonly Run[]): Promise<Document> {
  frame = document.createElement("iframe");
  frame.style.cssText = "width: 1200px; height: 700px; border: 0";
  const loaded = new Promise((resolve) => frame!.addEventListener("load", resolve));
  frame.srcdoc = lineageHtml(run);
  document.body.append(frame);
  await loaded;
  const page = frame.contentDocument!;
  expect(page.documentElement.dataset.ready).toBe("yes");
  return page;
}
const drawn = (page: Document) => [...page.querySelectorAll<SVGElement>("#scene .node")];
const named = (page: Document, name: string) =>
  drawn(page).find((node) => node.querySelector("title")!.textContent === name)!;
const click = (target: Element) => target.dispatchEvent(new MouseEvent("click", { bubbles: true }));
const panel = (page: Document) => page.querySelector<HTMLElement>("#panel")!;
function search(page: Document, text: string): HTMLElement[] {
  const input = page.querySelector<HTMLInputElement>("#search")!;
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  return [...page.querySelectorAll<HTMLElement>("#results button")];
}
const hacked = () => [window, frame!.contentWindow!].map((one) => (one as { hacked?: number }).hacked);

describe("the page of a lineage", () => {
  it("shows artefacts and steps, the epochs as one", async () => {
    const page = await open(sampleRun);
    // 27 nodes, of which 5 are folded into one
    expect(drawn(page)).toHaveLength(23);
    expect(named(page, "Export TensorFlow Lite").dataset.status).toBe("failed");
    expect(named(page, "digits.onnx").getAttribute("aria-label")).toBe("artefact, digits.onnx, model");
    const column = (name: string) =>
      Number(/translate\(([\d.]+)/.exec(named(page, name).getAttribute("transform")!)![1]);
    expect(column("mnist")).toBeLessThan(column("Epoch × 3"));
    expect(column("Epoch × 3")).toBeLessThan(column("digits.onnx"));
  });

  it("unfolds and folds a group by a click and by the keyboard", async () => {
    const page = await open(sampleRun);
    click(named(page, "Epoch × 3"));
    expect(drawn(page)).toHaveLength(27);
    const fold = [...panel(page).querySelectorAll("button")].find(({ textContent }) => textContent === "Fold")!;
    fold.click();
    expect(drawn(page)).toHaveLength(23);
    named(page, "Epoch × 3").dispatchEvent(
      new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }),
    );
    expect(drawn(page)).toHaveLength(27);
  });

  it("shows what is known of a node, marks where it came from, and leads on from there", async () => {
    const page = await open(sampleRun);
    click(named(page, "Export ONNX"));
    const text = panel(page).textContent;
    for (const part of ["opset", "17", "2026-03-01T10:13:00.000Z", "digits-int8", "digits.onnx"])
      expect(text).toContain(part);
    expect(named(page, "digits-student").classList).toContain("on");
    expect(named(page, "evaluation.json").classList).not.toContain("on");
    [...panel(page).querySelectorAll("button")].find(({ textContent }) => textContent === "digits.onnx")!.click();
    expect(panel(page).textContent).toContain(sampleIds["digits.onnx"]!);
  });

  it("finds by name, state and digest, also what is folded", async () => {
    const page = await open(sampleRun);
    expect(search(page, "FAILED").map((one) => one.textContent)).toEqual(["Export TensorFlow Lite"]);
    expect(search(page, "nothing of this")).toEqual([]);
    expect(page.querySelector("#said")!.textContent).toBe("Nothing found");
    const [hit] = search(page, sampleIds["digits-epoch-2"]!.slice(7, 30));
    hit!.click();
    expect(named(page, "digits-epoch-2").classList).toContain("selected");
    expect(drawn(page)).toHaveLength(27);
  });

  it("moves and zooms", async () => {
    const page = await open(sampleRun);
    const scene = page.querySelector("#scene")!;
    const scale = () => Number(/scale\(([\d.]+)/.exec(scene.getAttribute("transform")!)![1]);
    const before = scale();
    page.querySelector<HTMLElement>("#in")!.click();
    expect(scale()).toBeCloseTo(before * 1.25, 9);
    page.querySelector<HTMLElement>("#fit")!.click();
    const box = page.querySelector("#graph")!.getBoundingClientRect();
    for (const node of drawn(page)) {
      const { left, right } = node.getBoundingClientRect();
      expect(left).toBeGreaterThanOrEqual(box.left);
      expect(right).toBeLessThanOrEqual(box.right);
    }
    const graph = page.querySelector("#graph")!;
    const fitted = scene.getAttribute("transform");
    graph.dispatchEvent(new WheelEvent("wheel", { deltaY: -100, bubbles: true, cancelable: true }));
    expect(scene.getAttribute("transform")).not.toBe(fitted);
  });
});

describe("a large lineage", () => {
  it("of 15,000 nodes begins with few, and reaches every one", async () => {
    const page = await open(largeRun(5_000, 5_000));
    expect(drawn(page).length).toBeLessThanOrEqual(240);
    const [hit] = search(page, "shard-4711");
    hit!.click();
    expect(panel(page).querySelector("h2")!.textContent).toBe("shard-4711");
    expect(named(page, "shard-4711").classList).toContain("selected");
    expect(drawn(page).length).toBeLessThanOrEqual(500);
  });
});

describe("hostile names", () => {
  it("stay text, in the graph and beside it", async () => {
    const page = await open(hostileRun);
    const titles = drawn(page).map((node) => node.querySelector("title")!.textContent);
    for (const name of hostileNames.filter((one) => one !== "" && one.length < 200))
      expect(titles).toContain(visible(name));
    for (const node of drawn(page)) click(node);
    search(page, "<");
    for (const button of page.querySelectorAll<HTMLElement>("#results button")) button.click();
    expect(page.querySelectorAll("img, a, iframe, object, embed, link")).toHaveLength(0);
    expect(page.querySelectorAll("script")).toHaveLength(2);
    expect(hacked()).toEqual([undefined, undefined]);
  });

  it("would not run even as markup: the policy of the page forbids it", async () => {
    const page = await open(sampleRun);
    const refused: string[] = [];
    page.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
    const script = page.createElement("script");
    script.textContent = "globalThis.hacked = 1";
    page.body.append(script);
    page.body.insertAdjacentHTML(
      "beforeend",
      '<img src="x" onerror="globalThis.hacked = 2"><style>body { color: red }</style>',
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(hacked()).toEqual([undefined, undefined]);
    expect(new Set(refused)).toEqual(new Set(["script-src-elem", "script-src-attr", "img-src", "style-src-elem"]));
  });
});
