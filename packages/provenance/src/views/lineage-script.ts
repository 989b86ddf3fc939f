/**
 * What the page does, as JavaScript: see `lineage-layout.ts` for why. Texts from outside only ever become `textContent` or the
 * value of an attribute that is no address and no handler.
 */
export const pageScript = `
"use strict";
(() => {
const SVG = "http://www.w3.org/2000/svg";
const SIZES = { width: 224, height: 52, gapX: 56, gapY: 22 };
const SHOWN = 50;
const { nodes, edges } = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const svg = find("graph");
const scene = find("scene");
const panel = find("panel");
const expanded = new Set();
const members = nodes.map(() => []);
nodes.forEach((node, i) => { if (node.parent >= 0) members[node.parent].push(i); });
for (const inside of members) inside.sort((a, b) => nodes[a].rank - nodes[b].rank);
const used = nodes.map(() => []);
const made = nodes.map(() => []);
edges.forEach(([from, to], i) => { used[to].push(i); made[from].push(i); });

let drawn = null;
let selected = -1;
let view = { x: 0, y: 0, scale: 1 };

function element(name, attributes = {}, text) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
function shape(name, attributes = {}, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The outermost group around a node that is still folded, or the node itself. */
function standIn(node) {
  let shown = node;
  for (let group = nodes[node].parent; group >= 0; group = nodes[group].parent) if (!expanded.has(group)) shown = group;
  return shown;
}

function visibleGraph() {
  const standIns = nodes.map((_, i) => standIn(i));
  const shown = [...new Set(standIns)].filter((node) => !expanded.has(node)).sort((a, b) => nodes[a].rank - nodes[b].rank);
  const place = new Map(shown.map((node, i) => [node, i]));
  const links = new Map();
  for (const [from, to, role] of edges) {
    const a = place.get(standIns[from]);
    const b = place.get(standIns[to]);
    if (a === undefined || b === undefined || a === b) continue;
    const key = a + " " + b;
    const known = links.get(key);
    if (known) known.count++;
    else links.set(key, { from: a, to: b, role, count: 1 });
  }
  return { shown, place, links: [...links.values()] };
}

const GLYPHS = {
  dataset: "M2 4.5C2 3 4.7 2 8 2s6 1 6 2.5v7C14 13 11.3 14 8 14s-6-1-6-2.5zM2 4.5C2 6 4.7 7 8 7s6-1 6-2.5M2 8c0 1.5 2.7 2.5 6 2.5S14 9.500 14 8",
  model: "M8 1.800 13.500 5v6L8 14.200 2.500 11V5zM8 8l5.500-3M8 8v6.200M8 8 2.500 5",
  code: "M5.500 4 1.500 8l4 4M10.500 4l4 4-4 4M9 2.500 7 13.500",
  report: "M3 1.500h10v13H3zM5.500 5h5M5.500 8h5M5.500 11h3",
  file: "M3.500 1.500h6l3 3v10h-9zM9.500 1.500v3h3",
};
const STATES = { done: "M3 8.500 6.500 12 13 4.500", failed: "M4 4l8 8M12 4l-8 8", running: "M5 3l7.500 5L5 13z", interrupted: "M5.500 3v10M10.500 3v10" };

const pen = document.createElement("canvas").getContext("2d");
/** As much of a text as has room. */
function fit(text, room, font) {
  pen.font = font + " " + getComputedStyle(document.body).fontFamily;
  if (text.length < 200 && pen.measureText(text).width <= room) return text;
  const characters = [...text.slice(0, 200)];
  let [least, most] = [0, characters.length];
  while (least < most) {
    const middle = Math.ceil((least + most) / 2);
    if (pen.measureText(characters.slice(0, middle).join("") + "\\u2026").width <= room) least = middle;
    else most = middle - 1;
  }
  return characters.slice(0, least).join("") + "\\u2026";
}
const NAME = "600 13px";
const NOTE = "11.5px";

function drawNode(node, x, y) {
  const { type, kind, name, status, note } = nodes[node];
  const words = [type === "activity" ? "step" : type, name, note, status].filter(Boolean).join(", ");
  const label = type === "group" ? words + ", folded" : words;
  const box = shape("g", { class: "node " + type, transform: "translate(" + x + " " + y + ")", tabindex: "0", role: "button", "aria-label": label });
  box.dataset.node = node;
  box.dataset.kind = kind;
  if (status) box.dataset.status = status;
  const { width, height } = SIZES;
  box.append(shape("title", {}, name));
  if (type === "group") {
    box.append(shape("rect", { class: "sheet", x: 8, y: 8, width, height, rx: 10 }));
    box.append(shape("rect", { class: "sheet", x: 4, y: 4, width, height, rx: 10 }));
  }
  box.append(shape("rect", { class: "box", width, height, rx: type === "activity" ? height / 2 : 10 }));
  const left = type === "activity" ? 20 : 14;
  const room = width - left - 28 - left * 0.7;
  const path = type === "artefact" ? GLYPHS[kind] || GLYPHS.file : type === "activity" ? STATES[status] : undefined;
  if (path) box.append(shape("path", { class: "glyph", d: path, transform: "translate(" + left + " 18)" }));
  else box.append(shape("path", { class: "glyph", d: "M8 2.500v11M2.500 8h11", transform: "translate(" + left + " 18)" }));
  box.append(shape("text", { class: "name", x: left + 28, y: 23 }, fit(name, room, NAME)));
  const second = status && status !== "done" ? note + " \\u00b7 " + status : note;
  box.append(shape("text", { class: "note", x: left + 28, y: 40 }, fit(second, room, NOTE)));
  return box;
}

/** A line through points, level where it passes them; straight behind places that it passes on its way. */
function curve(points) {
  let d = "M" + points[0].join(" ");
  for (let i = 1; i < points.length; i++) {
    const [[x1, y1], [x2, y2]] = [points[i - 1], points[i]];
    if (i % 2 === 0) { d += "L" + x2 + " " + y2; continue; }
    const bend = Math.max(24, Math.min(120, Math.abs(x2 - x1) / 2));
    d += "C" + (x1 + bend) + " " + y1 + " " + (x2 - bend) + " " + y2 + " " + x2 + " " + y2;
  }
  return d;
}

function draw() {
  const graph = visibleGraph();
  const layout = layoutGraph(graph.shown.length, graph.links.map(({ from, to }) => [from, to]), SIZES);
  const lines = document.createDocumentFragment();
  const boxes = document.createDocumentFragment();
  graph.lines = graph.links.map(({ role, count }, i) => {
    const line = shape("path", { class: count > 1 ? "line many" : "line", d: curve(layout.routes[i]), "marker-end": "url(#arrow)" });
    line.append(shape("title", {}, count > 1 ? count + " links" : role));
    lines.append(line);
    return line;
  });
  graph.boxes = graph.shown.map((node, i) => {
    const box = drawNode(node, layout.x[i], layout.y[i]);
    boxes.append(box);
    return box;
  });
  scene.replaceChildren(lines, boxes);
  drawn = { ...graph, layout };
  drawMap();
  mark();
}

/** What leads to the selected node and what came of it stands out. */
function mark() {
  const at = drawn.place.get(selected);
  scene.classList.toggle("marked", at !== undefined);
  const on = new Set();
  const lit = new Set();
  if (at !== undefined) {
    const forth = drawn.shown.map(() => []);
    const back = drawn.shown.map(() => []);
    drawn.links.forEach(({ from, to }, i) => { forth[from].push([to, i]); back[to].push([from, i]); });
    for (const ways of [forth, back]) {
      const seen = new Set([at]);
      const queue = [at];
      while (queue.length > 0) {
        for (const [next, line] of ways[queue.pop()]) {
          lit.add(line);
          if (!seen.has(next)) { seen.add(next); queue.push(next); }
        }
      }
      for (const one of seen) on.add(one);
    }
  }
  drawn.boxes.forEach((box, i) => {
    box.classList.toggle("on", on.has(i));
    box.classList.toggle("selected", i === at);
  });
  drawn.lines.forEach((line, i) => line.classList.toggle("on", lit.has(i)));
}

function move() {
  scene.setAttribute("transform", "translate(" + view.x + " " + view.y + ") scale(" + view.scale + ")");
  frameMap();
}
/** What is seen of the graph beside the details. */
function windowSize() {
  const { width, height } = svg.getBoundingClientRect();
  const covered = panel.hidden ? 0 : panel.getBoundingClientRect().width;
  return { width: covered < width ? width - covered : width, height };
}

/** The graph as a whole, or, with "readable", so that labels can be read: then its end, where the result is. */
function fitAll(readable) {
  const { width, height } = windowSize();
  const { layout } = drawn;
  const whole = Math.min(1.25, (width - 48) / Math.max(1, layout.width), (height - 48) / Math.max(1, layout.height));
  const scale = Math.max(whole, readable ? Math.min(0.85, (height - 48) / Math.max(1, layout.height), 1) : 0, 0.02);
  const room = width - layout.width * scale;
  const last = drawn.shown.length - 1;
  const middle = room < 0 && last >= 0 ? layout.y[last] + SIZES.height / 2 : layout.height / 2;
  view = { scale, x: room < 0 ? room - 24 : room / 2, y: height / 2 - middle * scale };
  move();
}

const map = find("map");
const frameOnMap = shape("rect", { class: "frame" });
function drawMap() {
  const { layout, shown } = drawn;
  const { width, height } = SIZES;
  const scale = Math.min(240 / Math.max(1, layout.width), 120 / Math.max(1, layout.height));
  // A border of at least 6 pixels, more above and below a graph that is only a line.
  const [wide, tall] = [layout.width * scale + 12, Math.max(36, layout.height * scale + 12)];
  const above = (tall - layout.height * scale) / 2;
  map.setAttribute("width", wide);
  map.setAttribute("height", tall);
  map.setAttribute("viewBox", [-6 / scale, -above / scale, wide / scale, tall / scale].join(" "));
  map.dataset.above = above;
  map.dataset.scale = scale;
  const dots = shown.map((node, i) => {
    const dot = shape("rect", { x: layout.x[i], y: layout.y[i], width, height, class: "node" });
    if (nodes[node].type === "artefact") dot.dataset.kind = nodes[node].kind;
    if (nodes[node].status) dot.dataset.status = nodes[node].status;
    return dot;
  });
  map.replaceChildren(...dots, frameOnMap);
}
function frameMap() {
  const { width, height } = svg.getBoundingClientRect();
  const [w, h] = [width / view.scale, height / view.scale];
  const [left, top] = [-view.x / view.scale, -view.y / view.scale];
  const { layout } = drawn;
  const [, mapTop, , mapHeight] = map.getAttribute("viewBox").split(" ").map(Number);
  const [x1, y1] = [Math.max(left, 0), Math.max(top, mapTop)];
  const [x2, y2] = [Math.min(left + w, layout.width), Math.min(top + h, mapTop + mapHeight)];
  frameOnMap.setAttribute("x", x1);
  frameOnMap.setAttribute("y", y1);
  frameOnMap.setAttribute("width", Math.max(0, x2 - x1));
  frameOnMap.setAttribute("height", Math.max(0, y2 - y1));
  map.classList.toggle("off", w >= layout.width - 1 && h >= layout.height - 1);
}
function moveByMap(event) {
  if (event.buttons !== 1) return;
  const frame = map.getBoundingClientRect();
  const scale = Number(map.dataset.scale);
  const { width, height } = svg.getBoundingClientRect();
  view.x = width / 2 - ((event.clientX - frame.left - 6) / scale) * view.scale;
  view.y = height / 2 - ((event.clientY - frame.top - Number(map.dataset.above)) / scale) * view.scale;
  move();
  event.preventDefault();
}
map.addEventListener("pointerdown", moveByMap);
map.addEventListener("pointermove", moveByMap);

function zoom(factor, x, y) {
  const scale = Math.min(4, Math.max(0.02, view.scale * factor));
  view = { scale, x: x - ((x - view.x) * scale) / view.scale, y: y - ((y - view.y) * scale) / view.scale };
  move();
}
function zoomMiddle(factor) {
  const { width, height } = svg.getBoundingClientRect();
  zoom(factor, width / 2, height / 2);
}
function centre(node) {
  const at = drawn.place.get(node);
  if (at === undefined) return;
  const { width, height } = windowSize();
  view.scale = Math.max(view.scale, 0.8);
  view.x = width / 2 - (drawn.layout.x[at] + SIZES.width / 2) * view.scale;
  view.y = height / 2 - (drawn.layout.y[at] + SIZES.height / 2) * view.scale;
  move();
}

function reveal(node) {
  for (let group = nodes[node].parent; group >= 0; group = nodes[group].parent) expanded.add(group);
  selected = node;
  draw();
  describe(node);
  centre(node);
}
function unfold(group) {
  const at = drawn.place.get(group);
  const before = at === undefined ? undefined : [drawn.layout.x[at], drawn.layout.y[at]];
  expanded.add(group);
  const first = members[group][0];
  selected = -1;
  draw();
  const now = drawn.place.get(standIn(first));
  if (before && now !== undefined) {
    // The first member stays where the group was.
    view.x += (before[0] - drawn.layout.x[now]) * view.scale;
    view.y += (before[1] - drawn.layout.y[now]) * view.scale;
    move();
  }
  describe(group);
  const box = drawn.boxes[now];
  if (box) box.focus({ preventScroll: true });
}
function fold(group) {
  for (const inner of [...expanded]) {
    for (let outer = inner; outer >= 0; outer = nodes[outer].parent) if (outer === group) expanded.delete(inner);
  }
  reveal(group);
}

function linkTo(node, role) {
  const item = element("li");
  const button = element("button", { type: "button", class: "link" }, nodes[node].name);
  button.addEventListener("click", () => reveal(node));
  item.append(button);
  const rest = [nodes[node].kind, role].filter(Boolean).join(", ");
  item.append(element("span", { class: "quiet" }, " " + rest));
  return item;
}
function listOf(title, entries) {
  if (entries.length === 0) return [];
  const list = element("ul");
  for (const [node, role] of entries.slice(0, SHOWN)) list.append(linkTo(node, role));
  if (entries.length > SHOWN) list.append(element("li", { class: "quiet" }, "and " + (entries.length - SHOWN) + " more"));
  return [element("h3", {}, title), list];
}
function action(text, run) {
  const button = element("button", { type: "button" }, text);
  button.addEventListener("click", run);
  return button;
}

function describe(node) {
  const { type, kind, name, status, note, rows, parent } = nodes[node];
  const parts = [element("h2", { tabindex: "-1" }, name)];
  const badges = element("p", { class: "badges" });
  badges.append(element("span", { class: "badge" }, type === "group" ? note : kind));
  if (status) {
    const badge = element("span", { class: "badge" }, status);
    badge.dataset.status = status;
    badges.append(badge);
  }
  parts.push(badges);
  const actions = element("p", { class: "actions" });
  if (type === "group") {
    actions.append(expanded.has(node) ? action("Fold", () => fold(node)) : action("Unfold", () => unfold(node)));
  }
  if (parent >= 0 && expanded.has(parent)) actions.append(action("Fold " + fit(nodes[parent].name, 180, NAME), () => fold(parent)));
  if (actions.childNodes.length > 0) parts.push(actions);
  let heading = null;
  let table = null;
  for (const [under, label, text] of rows) {
    if (under !== heading) {
      heading = under;
      if (under) parts.push(element("h3", {}, under));
      table = element("dl");
      parts.push(table);
    }
    table.append(element("dt", {}, label), element("dd", {}, text));
  }
  const fromEdge = (side) => (edge) => [edges[edge][side], edges[edge][2]];
  if (type === "activity") parts.push(...listOf("Used", used[node].map(fromEdge(0))), ...listOf("Made", made[node].map(fromEdge(1))));
  if (type === "artefact") parts.push(...listOf("Made by", used[node].map(fromEdge(0))), ...listOf("Used by", made[node].map(fromEdge(1))));
  if (type === "group") parts.push(...listOf("In it", members[node].map((member) => [member, ""])));
  const close = element("button", { type: "button", class: "close", "aria-label": "Close details" }, "\\u00d7");
  close.addEventListener("click", () => { panel.hidden = true; selected = -1; mark(); });
  panel.replaceChildren(close, ...parts);
  panel.hidden = false;
  panel.scrollTop = 0;
}

function choose(node) {
  if (nodes[node].type === "group") { unfold(node); return; }
  selected = node;
  mark();
  describe(node);
}

const boxOf = (target) => (target instanceof Element ? target.closest(".node") : null);
const pointers = new Map();
let travelled = 0;
let spread = 0;
svg.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  if (pointers.size === 1) travelled = 0;
  spread = 0;
});
svg.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  if (pointers.size === 1) {
    const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
    travelled += Math.abs(dx) + Math.abs(dy);
    if (travelled > 5 && !svg.hasPointerCapture(event.pointerId)) svg.setPointerCapture(event.pointerId);
    view.x += dx;
    view.y += dy;
    move();
    return;
  }
  const [[x1, y1], [x2, y2]] = [...pointers.values()];
  const wide = Math.hypot(x2 - x1, y2 - y1);
  const frame = svg.getBoundingClientRect();
  if (spread > 0) zoom(wide / spread, (x1 + x2) / 2 - frame.left, (y1 + y2) / 2 - frame.top);
  spread = wide;
  travelled = 10;
});
const release = (event) => { pointers.delete(event.pointerId); spread = 0; };
svg.addEventListener("pointerup", release);
svg.addEventListener("pointercancel", release);
svg.addEventListener("click", (event) => {
  if (travelled > 5) return;
  const box = boxOf(event.target);
  if (box) { choose(Number(box.dataset.node)); return; }
  selected = -1;
  panel.hidden = true;
  mark();
});
svg.addEventListener("wheel", (event) => {
  event.preventDefault();
  const frame = svg.getBoundingClientRect();
  zoom(Math.exp(-Math.max(-100, Math.min(100, event.deltaY)) / 300), event.clientX - frame.left, event.clientY - frame.top);
}, { passive: false });
svg.addEventListener("keydown", (event) => {
  const box = boxOf(event.target);
  const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
  if (box && (event.key === "Enter" || event.key === " ")) choose(Number(box.dataset.node));
  else if (event.key === "+" || event.key === "=") zoomMiddle(1.25);
  else if (event.key === "-") zoomMiddle(0.8);
  else if (event.key === "0") fitAll(false);
  else if (steps) { view.x += steps[0]; view.y += steps[1]; move(); }
  else return;
  event.preventDefault();
});
svg.addEventListener("focusin", (event) => {
  // What is focused by the keyboard has to be seen.
  const box = boxOf(event.target);
  if (!box || !box.matches(":focus-visible")) return;
  const [frame, place] = [svg.getBoundingClientRect(), box.getBoundingClientRect()];
  if (place.left < frame.left || place.right > frame.right || place.top < frame.top || place.bottom > frame.bottom) centre(Number(box.dataset.node));
});

const search = find("search");
const results = find("results");
const said = find("said");
const lower = nodes.map(({ name, kind, note, status, rows }) => [name, kind, note, status, ...rows.filter(([under]) => under === "").map(([, , text]) => text)].join("\\n").toLowerCase());
search.addEventListener("input", () => {
  const wanted = search.value.trim().toLowerCase();
  results.replaceChildren();
  results.hidden = wanted === "";
  said.textContent = "";
  if (wanted === "") return;
  const hits = [];
  let count = 0;
  lower.forEach((text, i) => { if (text.includes(wanted)) { count++; if (hits.length < SHOWN) hits.push(i); } });
  for (const hit of hits) results.append(linkTo(hit, nodes[hit].status));
  if (count > hits.length) results.append(element("li", { class: "quiet" }, "and " + (count - hits.length) + " more"));
  said.textContent = count === 0 ? "Nothing found" : count + " found";
});
results.addEventListener("click", () => { results.hidden = true; });
search.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { search.value = ""; results.hidden = true; said.textContent = ""; }
  if (event.key === "Enter") { const first = results.querySelector("button"); if (first) first.click(); }
});
find("fit").addEventListener("click", () => fitAll(false));
find("in").addEventListener("click", () => zoomMiddle(1.25));
find("out").addEventListener("click", () => zoomMiddle(0.8));
find("folded").addEventListener("click", () => { expanded.clear(); selected = -1; panel.hidden = true; draw(); fitAll(true); });
find("folded").hidden = !nodes.some(({ type }) => type === "group");
addEventListener("resize", () => move());
draw();
fitAll(true);
document.documentElement.dataset.ready = "yes";
})();
`;
