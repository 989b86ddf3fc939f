/** The style of the report: system colours, so that it is light or dark as the reader's screen is. */
export const style = `
:root { color-scheme: light dark; --line: #8884; --good: #0b8793; --bad: #d6453d; --bar: #7c6fd6; --pale: #8882; }
@media (prefers-color-scheme: dark) { :root { --good: #3bc0cc; --bad: #ff7a70; --bar: #a79cf5; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin: 0 0 1rem; } h2 { margin: 2.2rem 0 0.6rem; font-size: 1.2rem; }
.cards { display: flex; flex-wrap: wrap; gap: 1rem; }
.card { flex: 1 1 12rem; padding: 0.8rem 1.1rem; border: 1px solid var(--line); border-radius: 10px; }
.card b { display: block; font-size: 2.1rem; line-height: 1.2; color: var(--good); } .card b.bad { color: var(--bad); }
.card span, .card small { display: block; } .card small, .quiet { opacity: 0.7; } .quiet { font-size: 0.9rem; }
.card.alarm { border-color: var(--bad); } .card.alarm b { color: var(--bad); } .note { color: var(--bad); font-weight: 600; }
svg { width: 100%; } svg text { font-size: 13px; fill: currentColor; } svg text.quiet { opacity: 0.6; } svg .figure { font-weight: 700; }
svg .grid { stroke: var(--line); } svg .limit { stroke: currentColor; stroke-dasharray: 4 4; opacity: 0.6; }
svg .line { fill: none; stroke: var(--bad); stroke-width: 2; } svg .mark, svg .band { fill: var(--bad); } svg .band { opacity: 0.18; }
svg .good { fill: var(--good); } svg .bad { fill: var(--bad); } svg .bar { fill: var(--bar); } svg .rail { fill: var(--pale); }
svg .whisker { stroke: currentColor; stroke-width: 1.5; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.35rem 0.7rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; font-variant-numeric: tabular-nums; }
td small { display: block; opacity: 0.7; max-width: 16rem; overflow-wrap: anywhere; }
.facts th { font-weight: 600; white-space: nowrap; } .facts td { font-family: ui-monospace, monospace; font-size: 0.82rem; overflow-wrap: anywhere; }
.checks details { border-bottom: 1px solid var(--line); padding: 0.4rem 0; } .checks summary { cursor: pointer; } .checks details p { margin: 0.4rem 0; }
.checks summary b { margin-right: 0.4rem; } .checks i { display: inline-block; width: 1.5rem; font-style: normal; font-weight: 700; color: var(--good); }
.checks .alarm i, .checks .alarm summary b { color: var(--bad); } .checks .open i { color: inherit; opacity: 0.6; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
figure { margin: 0; display: grid; grid-template-columns: repeat(3, 1fr); gap: 2px 6px; text-align: center; grid-auto-flow: column; grid-template-rows: auto auto auto; }
figure img { width: 100%; image-rendering: pixelated; border-radius: 4px; } figure b { color: var(--bad); }
figcaption { grid-column: 1 / 4; grid-row: 3; font-size: 0.85rem; opacity: 0.7; }
.key { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 2px; } .key.bad { background: var(--bad); } .key.good { background: var(--good); }
`;
