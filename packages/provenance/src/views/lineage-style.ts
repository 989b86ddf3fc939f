/** How the page looks, by day and by night. Kinds have colours and pictures, states colours and signs. */
export const pageStyle = `
:root { color-scheme: light dark; --page: #f6f7fa; --card: #ffffff; --text: #1c2330; --quiet: #566072; --line: #b3bccb;
  --border: #d5dbe5; --accent: #2456d6; --dataset: #0b7a75; --model: #6d3fc4; --code: #3f5468; --report: #a15c00;
  --file: #566072; --done: #1b7f3b; --failed: #c2261d; --running: #2456d6; --interrupted: #a15c00; }
@media (prefers-color-scheme: dark) {
  :root { --page: #10141c; --card: #1a202c; --text: #e7ebf3; --quiet: #a0abbd; --line: #4a566a; --border: #333d4f;
    --accent: #86a8ff; --dataset: #4fd0c7; --model: #b79bff; --code: #a9bdd2; --report: #f0b35c; --file: #a0abbd;
    --done: #5fd38a; --failed: #ff8078; --running: #86a8ff; --interrupted: #f0b35c; }
}
* { box-sizing: border-box; }
html, body { height: 100%; margin: 0; }
body { display: grid; grid-template-rows: auto 1fr auto; background: var(--page); color: var(--text);
  font: 14px/1.45 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; padding: .6rem 1rem; background: var(--card);
  border-bottom: 1px solid var(--border); }
h1 { font-size: 1.05rem; margin: 0; max-width: 40ch; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.quiet { color: var(--quiet); }
header .space { flex: 1; }
.find { position: relative; }
input { width: 15rem; max-width: 60vw; }
input, button { font: inherit; color: inherit; background: var(--page); border: 1px solid var(--border); border-radius: 7px;
  padding: .3rem .6rem; }
button { cursor: pointer; }
button:hover { border-color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
#results { position: absolute; z-index: 3; top: 100%; left: 0; margin: .3rem 0 0; padding: .4rem; list-style: none;
  width: min(24rem, 80vw); max-height: 60vh; overflow: auto; background: var(--card); border: 1px solid var(--border);
  border-radius: 9px; box-shadow: 0 6px 24px #0003; }
[hidden] { display: none !important; }
main { position: relative; min-height: 0; overflow: hidden; }
#graph { display: block; width: 100%; height: 100%; cursor: grab; touch-action: none; user-select: none; }
#graph:active { cursor: grabbing; }
.line { fill: none; stroke: var(--line); stroke-width: 1.5; }
.many { stroke-width: 2.5; }
#arrow path { fill: context-stroke; }
.node { cursor: pointer; outline: none; }
.box, .sheet { fill: var(--card); stroke: var(--border); stroke-width: 1.5; }
.node:hover .box { stroke: var(--accent); }
.node:focus-visible .box { stroke: var(--accent); stroke-width: 3; }
.glyph { fill: none; stroke: var(--tone, var(--quiet)); stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; }
.name { fill: var(--text); font-weight: 600; font-size: 13px; }
.note { fill: var(--quiet); font-size: 11.5px; }
.artefact .box { stroke: var(--tone); }
.node[data-kind="dataset"] { --tone: var(--dataset); }
.node[data-kind="model"] { --tone: var(--model); }
.node[data-kind="code"] { --tone: var(--code); }
.node[data-kind="report"] { --tone: var(--report); }
.node[data-kind="file"] { --tone: var(--file); }
[data-status="done"] { --tone: var(--done); }
[data-status="failed"] { --tone: var(--failed); }
[data-status="running"] { --tone: var(--running); }
[data-status="interrupted"] { --tone: var(--interrupted); }
.node[data-status="failed"] .box, .node[data-status="interrupted"] .box { stroke: var(--tone); }
.node[data-status="failed"] .note, .node[data-status="interrupted"] .note { fill: var(--tone); }
.node[data-status="running"] .box { stroke: var(--tone); stroke-dasharray: 5 4; }
.marked .node:not(.on) { opacity: .3; }
.marked .line:not(.on) { opacity: .2; }
.marked .line.on { stroke: var(--accent); }
.node.selected .box { stroke: var(--accent); stroke-width: 3; }
#map { position: absolute; left: 12px; bottom: 12px; background: var(--card); border: 1px solid var(--border);
  border-radius: 8px; cursor: crosshair; touch-action: none; }
#map.off { display: none; }
#map .node { fill: var(--tone, var(--quiet)); }
#map .frame { fill: var(--accent); fill-opacity: .12; stroke: var(--accent); stroke-width: 1.5;
  vector-effect: non-scaling-stroke; pointer-events: none; }
#panel { position: absolute; z-index: 2; top: 0; right: 0; bottom: 0; width: min(24rem, 100%); overflow: auto;
  padding: 1rem 1.1rem 2rem; background: var(--card); border-left: 1px solid var(--border); box-shadow: -6px 0 24px #0002;
  overflow-wrap: anywhere; }
#panel h2 { margin: 0 2rem .4rem 0; font-size: 1.05rem; }
#panel h3 { margin: 1.1rem 0 .3rem; font-size: .8rem; color: var(--quiet); }
.badges, .actions { display: flex; flex-wrap: wrap; gap: .4rem; margin: .3rem 0; }
.badge { padding: .05rem .55rem; border: 1px solid var(--tone, var(--border)); border-radius: 99px; font-size: .8rem;
  color: var(--tone, var(--quiet)); }
dl { display: grid; grid-template-columns: minmax(5.5rem, auto) 1fr; gap: .25rem .8rem; margin: .3rem 0; }
dt { color: var(--quiet); }
dd { margin: 0; white-space: pre-wrap; }
#panel ul { margin: 0; padding: 0; list-style: none; }
#panel li, #results li { padding: .12rem 0; overflow-wrap: anywhere; }
.link { padding: 0; border: 0; background: none; color: var(--accent); text-align: left; }
.link:hover { text-decoration: underline; }
.close { position: absolute; top: .6rem; right: .7rem; border: 0; background: none; font-size: 1.3rem; line-height: 1; }
footer { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: .45rem 1rem; background: var(--card);
  border-top: 1px solid var(--border); font-size: .8rem; color: var(--quiet); }
footer span { display: inline-flex; align-items: center; gap: .35rem; }
footer svg { width: 14px; height: 14px; }
noscript pre { padding: 1rem; overflow: auto; }
@media (max-width: 40rem) { header .stats, footer { display: none; } #panel { top: 45%; width: 100%; border-left: 0;
  border-top: 1px solid var(--border); } }
`;
