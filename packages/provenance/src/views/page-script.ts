/**
 * What the page of `lineageHtml` runs, as text: it lays out the graph that stands in the page as JSON, folds what would be too much,
 * and lets people look around. It asks nobody for anything, and makes elements of texts by `textContent` alone.
 */
export const pageScript = `"use strict";
const { nodes, edges } = JSON.parse(document.getElementById("graph").textContent);
const svg = document.querySelector("svg"), view = svg.firstElementChild, panel = document.getElementById("details");
const element = (name, attributes, parent) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  parent.append(made);
  return made;
};
// What is alike is folded: by names that differ in numbers alone, such as epochs; if that is not enough, by kind and depth, then by kind.
const alike = (node) => node.type + "|" + node.kind + "|" + node.name.replace(/[0-9]+/g, "#").slice(0, 60);
const ways = [(node) => alike(node) + "|" + node.depth, alike, (node) => node.type + "|" + node.kind + "|" + node.depth, (node) => node.type + "|" + node.kind];
const foldsBy = (way) => {
  const groups = new Map();
  nodes.forEach((node, i) => {
    const key = way(node);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(i);
  });
  return [...groups.values()].filter((members) => members.length > 3);
};
const visibleWith = (all) => nodes.length - all.reduce((sum, members) => sum + members.length - 1, 0);
let folds = foldsBy(ways[0]);
for (let i = 1; i < ways.length && visibleWith(folds) > 60; i++) folds = foldsBy(ways[i]);
const open = new Set();
let chosen = -1, found = new Set(), box;
const WIDTH = 190, HEIGHT = 44, GAP_X = 50, GAP_Y = 16, MOST = 400;

function shapes() {
  const list = [], of = new Array(nodes.length);
  const folded = new Array(nodes.length).fill(-1);
  folds.forEach((members, f) => { if (!open.has(f)) for (const i of members) folded[i] = f; });
  const made = new Map();
  nodes.forEach((node, i) => {
    const f = folded[i];
    if (f < 0) { of[i] = list.length; list.push({ members: [i], depth: node.depth }); return; }
    if (!made.has(f)) { made.set(f, list.length); list.push({ fold: f, members: folds[f], depth: node.depth }); }
    of[i] = made.get(f);
  });
  return { list, of };
}

function draw() {
  const { list, of } = shapes();
  const depths = [...new Set(list.map((one) => one.depth))].sort((a, b) => a - b);
  const columns = depths.map((depth) => list.filter((one) => one.depth === depth));
  const links = new Set();
  for (const [from, to] of edges) if (of[from] !== of[to]) links.add(of[from] + "," + of[to]);
  const before = list.map(() => []);
  const pairs = [...links].map((text) => text.split(",").map(Number));
  for (const [from, to] of pairs) before[to].push(from);
  list.forEach((one, i) => { one.at = i; });
  // Each column in the order of the middles of what it comes from.
  columns.forEach((column, c) => {
    column.forEach((one, row) => {
      const rows = before[one.at].map((from) => list[from].row).filter((value) => value !== undefined);
      one.middle = rows.length ? rows.reduce((a, b) => a + b, 0) / rows.length : row;
    });
    if (c > 0) column.sort((a, b) => a.middle - b.middle || a.at - b.at);
    column.forEach((one, row) => { one.row = row - column.length / 2; one.x = c * (WIDTH + GAP_X); one.y = one.row * (HEIGHT + GAP_Y); });
    column.slice(MOST).forEach((one) => { one.hidden = true; });
  });
  view.replaceChildren();
  const lines = element("g", { class: "edges" }, view);
  for (const [a, b] of pairs) {
    const from = list[a], to = list[b];
    if (from.hidden || to.hidden) continue;
    const x1 = from.x + WIDTH, y1 = from.y + HEIGHT / 2, x2 = to.x, y2 = to.y + HEIGHT / 2, bend = Math.max(30, (x2 - x1) / 2);
    const touches = from.members.includes(chosen) || to.members.includes(chosen);
    element("path", { d: "M" + x1 + " " + y1 + "C" + (x1 + bend) + " " + y1 + " " + (x2 - bend) + " " + y2 + " " + x2 + " " + y2, class: touches ? "near" : "" }, lines);
  }
  for (const one of list) if (!one.hidden) drawNode(one);
  const xs = list.map((one) => one.x), ys = list.filter((one) => !one.hidden).map((one) => one.y);
  const whole = [Math.min(...xs) - 30, Math.min(...ys) - 30, Math.max(...xs) - Math.min(...xs) + WIDTH + 60, Math.max(...ys) - Math.min(...ys) + HEIGHT + 60];
  if (!box) {
    // Readable first: the right end, where the models are. "Fit" shows all of it.
    const width = Math.min(whole[2], svg.clientWidth * 1.8), height = Math.min(whole[3], svg.clientHeight * 1.8);
    box = [whole[0] + whole[2] - width, whole[1] + (whole[3] - height) / 2, width, height];
    show();
  }
  document.getElementById("fit").onclick = () => { box = whole; show(); };
}

function drawNode(one) {
  const node = nodes[one.members[0]], many = one.fold !== undefined;
  const hit = one.members.some((i) => found.has(i)), bad = one.members.some((i) => nodes[i].status && nodes[i].status !== "done");
  const label = many ? one.members.length + " × " + (new Set(one.members.map((i) => alike(nodes[i]))).size === 1 ? node.name.replace(/[0-9]+/g, "#") : node.kind) : node.name;
  const g = element("g", {
    class: "node " + node.type + " kind-" + node.kind + (bad ? " bad" : "") + (hit ? " hit" : "") + (one.members.includes(chosen) ? " chosen" : "") + (many ? " many" : ""),
    transform: "translate(" + one.x + " " + one.y + ")", tabindex: 0, role: "button", "aria-label": label,
  }, view);
  if (many) element("rect", { x: 5, y: 5, width: WIDTH, height: HEIGHT, rx: 6, class: "under" }, g);
  element("rect", { width: WIDTH, height: HEIGHT, rx: node.type === "activity" ? 22 : 6 }, g);
  const clip = (text) => { const all = Array.from(text); return all.length > 27 ? all.slice(0, 26).join("") + "…" : text; };
  const inside = element("svg", { width: WIDTH - 8, height: HEIGHT }, g);
  element("text", { x: 14, y: 19, class: "name" }, inside).textContent = clip(label);
  element("text", { x: 14, y: 34, class: "kind" }, inside).textContent = clip(many ? "unfold" : node.kind + (node.status && node.status !== "done" ? ", " + node.status : "") + (node.note ? ", " + node.note : ""));
  const act = () => {
    if (many) open.add(one.fold); else { chosen = one.members[0]; details(nodes[chosen]); }
    draw();
  };
  g.addEventListener("click", act);
  g.addEventListener("focus", () => {
    const isInside = one.x > box[0] && one.x + WIDTH < box[0] + box[2] && one.y > box[1] && one.y + HEIGHT < box[1] + box[3];
    if (!isInside) { box[0] = one.x + WIDTH / 2 - box[2] / 2; box[1] = one.y + HEIGHT / 2 - box[3] / 2; show(); }
  });
  g.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(); } });
}

function details(node) {
  panel.replaceChildren();
  const title = document.createElement("h2");
  title.textContent = node.name;
  const table = document.createElement("dl");
  for (const [name, value] of node.facts) {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    table.append(dt, dd);
  }
  panel.append(title, table);
}

const show = () => svg.setAttribute("viewBox", box.join(" "));
const scale = () => Math.max(box[2] / svg.clientWidth, box[3] / svg.clientHeight);
function zoom(by, x, y) {
  box = [x - (x - box[0]) * by, y - (y - box[1]) * by, box[2] * by, box[3] * by];
  show();
}
svg.addEventListener("wheel", (event) => {
  event.preventDefault();
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, point.x, point.y);
}, { passive: false });
let drag;
svg.addEventListener("pointerdown", (event) => { drag = [event.clientX, event.clientY]; });
window.addEventListener("pointerup", () => { drag = undefined; });
window.addEventListener("pointermove", (event) => {
  if (!drag) return;
  box[0] -= (event.clientX - drag[0]) * scale();
  box[1] -= (event.clientY - drag[1]) * scale();
  drag = [event.clientX, event.clientY];
  show();
});
window.addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT") return;
  const step = 60 * scale(), moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const move = moves[event.key];
  if (move) { box[0] += move[0]; box[1] += move[1]; show(); }
  if (event.key === "+" || event.key === "-") zoom(event.key === "-" ? 1.2 : 1 / 1.2, box[0] + box[2] / 2, box[1] + box[3] / 2);
});
document.getElementById("search").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  found = new Set(wanted === "" ? [] : nodes.flatMap((node, i) => (node.name + " " + node.kind + " " + node.facts.join(" ")).toLowerCase().includes(wanted) ? [i] : []));
  document.getElementById("count").textContent = wanted === "" ? "" : found.size + " found";
  draw();
});
draw();
`;
