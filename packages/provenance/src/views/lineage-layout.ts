/**
 * The layout of the page, as JavaScript: it runs in the page, where nothing can be imported, and stays what it is through
 * bundlers. Defines `layoutGraph(count, edges, sizes)` for nodes in their order: a layer for each node, one further than all that
 * lead to it, sources next to what uses them; a place in the layer near the middle of the neighbours. Edges over several layers
 * get places in those between, one for all edges of a node, so that they do not run behind other nodes; where these would be
 * more than 5,000, edges run straight. O(n log n) for n nodes, edges and such places. Edges that lead back in the order, as
 * folded groups may have, do not count for the layers.
 */
export const layoutScript = `
function layoutGraph(count, edges, sizes) {
  const before = Array.from({ length: count }, () => []);
  const after = Array.from({ length: count }, () => []);
  for (const [from, to] of edges) {
    if (from >= to) continue;
    after[from].push(to);
    before[to].push(from);
  }
  const layer = new Array(count).fill(0);
  for (let i = 0; i < count; i++) for (const next of after[i]) layer[next] = Math.max(layer[next], layer[i] + 1);
  for (let i = 0; i < count; i++) {
    if (before[i].length > 0 || after[i].length === 0) continue;
    let nearest = Infinity;
    for (const next of after[i]) nearest = Math.min(nearest, layer[next]);
    layer[i] = nearest - 1;
  }
  const layers = [];
  for (let i = 0; i < count; i++) (layers[layer[i]] ||= []).push(i);
  for (let i = 0; i < layers.length; i++) layers[i] ||= [];
  // Places on the way, numbered after the nodes: for each node a chain that leads to the furthest layer before its last edge.
  const furthest = new Array(count).fill(0);
  let places = 0;
  for (let i = 0; i < count; i++) {
    for (const next of after[i]) furthest[i] = Math.max(furthest[i], layer[next] - 1);
    places += Math.max(0, furthest[i] - layer[i]);
  }
  const chains = new Map();
  let total = count;
  if (places <= 5000) {
    for (let i = 0; i < count; i++) {
      const chain = [i];
      for (let at = layer[i] + 1; at <= furthest[i]; at++) {
        layers[at].push(total);
        layer.push(at);
        chain.push(total++);
      }
      if (chain.length > 1) chains.set(i, chain);
    }
  }
  const left = Array.from({ length: total }, () => []);
  const right = Array.from({ length: total }, () => []);
  const join = (from, to) => { right[from].push(to); left[to].push(from); };
  for (const chain of chains.values()) for (let i = 1; i < chain.length; i++) join(chain[i - 1], chain[i]);
  for (let i = 0; i < count; i++) {
    const chain = chains.get(i);
    for (const next of after[i]) join(chain ? chain[layer[next] - 1 - layer[i]] : i, next);
  }
  const roomOf = (one) => (one < count ? sizes.height + sizes.gapY : sizes.gapY);
  const y = new Array(total).fill(0);
  for (const members of layers) {
    let at = 0;
    for (const one of members) { y[one] = at + roomOf(one) / 2; at += roomOf(one); }
    for (const one of members) y[one] -= at / 2;
  }
  const mean = (list, otherwise) => {
    if (list.length === 0) return otherwise;
    let sum = 0;
    for (const one of list) sum += y[one];
    return sum / list.length;
  };
  const settle = (members, neighbours) => {
    const wanted = members.map((node) => ({ node, at: mean(neighbours[node], y[node]) }));
    wanted.sort((a, b) => a.at - b.at || a.node - b.node);
    let free = -Infinity;
    let off = 0;
    for (const one of wanted) {
      const half = roomOf(one.node) / 2;
      y[one.node] = Math.max(one.at, free + half);
      off += one.at - y[one.node];
      free = y[one.node] + half;
    }
    // What was pushed down is moved up as a whole, so that neither side wins.
    for (const one of wanted) y[one.node] += off / wanted.length;
  };
  for (let round = 0; round < 6; round++) {
    for (let i = 1; i < layers.length; i++) settle(layers[i], left);
    for (let i = layers.length - 2; i >= 0; i--) settle(layers[i], right);
  }
  let top = Infinity;
  let bottom = -Infinity;
  for (const at of y) {
    top = Math.min(top, at);
    bottom = Math.max(bottom, at);
  }
  const round = (value) => Math.round(value * 10) / 10;
  // Points that an edge passes: the right border of its first node, both borders of places on the way, the left border of its last.
  const routeOf = ([from, to]) => {
    const points = [[x[from] + sizes.width, middle[from]]];
    const chain = from < to ? chains.get(from) : undefined;
    for (let i = 1; chain && i < layer[to] - layer[from]; i++) {
      const place = chain[i];
      points.push([x[place], middle[place]], [x[place] + sizes.width, middle[place]]);
    }
    points.push([x[to], middle[to]]);
    return points;
  };
  const x = layer.map((one) => one * (sizes.width + sizes.gapX));
  const middle = y.map((at) => round(at - top + sizes.height / 2));
  return {
    x: x.slice(0, count),
    y: middle.slice(0, count).map((at) => round(at - sizes.height / 2)),
    routes: edges.map(routeOf),
    width: count === 0 ? 0 : (layers.length - 1) * (sizes.width + sizes.gapX) + sizes.width,
    height: count === 0 ? 0 : bottom - top + sizes.height,
  };
}
`;
