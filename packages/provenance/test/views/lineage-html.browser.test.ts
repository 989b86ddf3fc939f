import { lineageHtml, type Run } from "@parapet/provenance";
import { afterEach, describe, expect, it } from "vitest";
import { hostileRun, largeRun, minimalRun, sampleRun } from "../helpers/sample-run.ts";

// The page as a browser has it, in a frame.
let frame: HTMLIFrameElement;
afterEach(() => frame.remove());

async function open(run: Run | readonly Run[]): Promise<Document> {
  frame = document.createElement("iframe");
  frame.style.cssText = "width: 1200px; height: 700px";
  frame.srcdoc = lineageHtml(run);
  const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
  document.body.append(frame);
  await loaded;
  return frame.contentDocument!;
}
const nodesOf = (page: Document) => [...page.querySelectorAll<SVGGElement>(".node")];
const named = (page: Document, label: string) =>
  nodesOf(page).find((node) => node.getAttribute("aria-label") === label)!;
const press = (node: Element, key = "Enter") =>
  node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));

describe("the page of a run", () => {
  it("has each artefact and each step, from left to right in their order", async () => {
    const page = await open(sampleRun);
    expect(nodesOf(page)).toHaveLength(sampleRun.artefacts.length + sampleRun.activities.length);
    const x = (label: string) => Number(/translate\(([-\d.]+)/.exec(named(page, label).getAttribute("transform")!)![1]);
    for (const activity of sampleRun.activities) {
      for (const { artefact } of activity.used) {
        const { name } = sampleRun.artefacts.find(({ id }) => id === artefact)!;
        expect(x(name)).toBeLessThan(x(activity.name));
      }
    }
    const failed = sampleRun.activities.filter(({ status }) => status !== "done").length;
    expect(page.querySelectorAll(".node.bad")).toHaveLength(failed);
  });

  it("says what is known of what is chosen, by the keyboard too, and finds what is searched for", async () => {
    const page = await open(sampleRun);
    press(named(page, "Epoch 2"));
    const panel = page.getElementById("details")!;
    expect(panel.querySelector("h2")!.textContent).toBe("Epoch 2");
    const { parameters } = sampleRun.activities.find(({ name }) => name === "Epoch 2")!;
    for (const name of Object.keys(parameters)) expect(panel.textContent).toContain(name);
    expect(named(page, "Epoch 2").classList.contains("chosen")).toBe(true);
    const search = page.getElementById("search") as HTMLInputElement;
    search.value = "EPOCH";
    search.dispatchEvent(new Event("input"));
    expect(page.querySelectorAll(".node.hit").length).toBeGreaterThanOrEqual(3);
    expect(page.getElementById("count")!.textContent).toMatch(/^\d+ found$/);
  });

  it("shows hostile names as the text that they are, and runs nothing of them", async () => {
    const page = await open(hostileRun);
    for (const node of nodesOf(page)) press(node);
    const view = frame.contentWindow as unknown as { hacked?: unknown };
    expect(view.hacked).toBeUndefined();
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(page.querySelectorAll("img, iframe, a, link, object")).toHaveLength(0);
    expect(page.querySelectorAll("script")).toHaveLength(2);
    const labels = nodesOf(page).map((node) => node.getAttribute("aria-label"));
    expect(labels.some((label) => label!.includes("</script>"))).toBe(true);
  });

  it("lets no other script run, and asks for nothing", async () => {
    const page = await open(minimalRun);
    const script = page.createElement("script");
    script.textContent = "globalThis.hacked = 1";
    page.body.append(script);
    const image = new Promise((resolve) => {
      const made = page.createElement("img");
      made.onerror = () => resolve("refused");
      made.onload = () => resolve("loaded");
      made.src = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
      page.body.append(made);
    });
    expect(await image).toBe("refused");
    expect((frame.contentWindow as unknown as { hacked?: unknown }).hacked).toBeUndefined();
  });

  it("folds 10,000 nodes, and unfolds them on demand", async () => {
    const page = await open(largeRun(5000, 2500));
    expect(nodesOf(page).length).toBeLessThan(60);
    const folded = nodesOf(page).find((node) => node.classList.contains("many"))!;
    const before = nodesOf(page).length;
    press(folded);
    expect(nodesOf(page).length).toBeGreaterThan(before);
    expect(nodesOf(page).length).toBeLessThan(6000);
  });
});
