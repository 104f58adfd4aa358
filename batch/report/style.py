"""How the report looks: one style sheet in the page, light or dark as the reader's system is."""

STYLE = """
:root { color-scheme: light dark; --bg: #ffffff; --fg: #1b1f24; --mute: #5b6570; --line: #d9dee3; --soft: #f3f5f7;
  --ok: #1a7f37; --bad: #c4281c; --warn: #9a6700; --crit: #bc4c00; --run: #0969da;
  --l0: #0969da; --l1: #8250df; --l2: #1a7f37; --l3: #bf3989; --l4: #0e7490; --l5: #6e4a1f; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171a; --fg: #e4e8ec; --mute: #99a3ad; --line: #343b42;
  --soft: #1d2226; --ok: #4ac26b; --bad: #ff7b72; --warn: #e3b341; --crit: #f0883e; --run: #58a6ff;
  --l0: #58a6ff; --l1: #bc8cff; --l2: #4ac26b; --l3: #ff7eb6; --l4: #39c5cf; --l5: #d2a679; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1160px; padding: 24px; background: var(--bg); color: var(--fg);
  font: 14px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 16px; margin: 28px 0 8px; }
.mute { color: var(--mute); } .ok { color: var(--ok); } .bad { color: var(--bad); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)); gap: 8px; margin: 16px 0; }
dl div { background: var(--soft); border-radius: 6px; padding: 8px 12px; }
dt { color: var(--mute); font-size: 12px; } dd { margin: 0; font-size: 18px; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); }
th { color: var(--mute); font-weight: 500; white-space: nowrap; position: sticky; top: 0; background: var(--bg); }
td.n, th.n { text-align: right; white-space: nowrap; }
td.name { font-weight: 500; overflow-wrap: anywhere; min-width: 110px; }
td.more { overflow-wrap: anywhere; min-width: 220px; }
td ul { margin: 0; padding-left: 16px; }
.plot { width: 100%; min-width: 640px; height: auto; display: block; }
.plot text { font-size: 11px; fill: var(--mute); } .plot .end { text-anchor: end; } .plot .mid { text-anchor: middle; }
.grid { stroke: var(--line); stroke-width: 1; } .tier { stroke-width: 1; stroke-dasharray: 5 4; }
line.warning { stroke: var(--warn); } line.critical { stroke: var(--crit); } line.emergency { stroke: var(--bad); }
.plot text.warning { fill: var(--warn); } .plot text.critical { fill: var(--crit); }
.plot text.emergency { fill: var(--bad); } .plot text.tier { stroke: none; }
.line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.l0 { stroke: var(--l0); } .l1 { stroke: var(--l1); } .l2 { stroke: var(--l2); } .l3 { stroke: var(--l3); }
.l4 { stroke: var(--l4); } .l5 { stroke: var(--l5); }
.job { fill: var(--mute); } .job.done { fill: var(--ok); } .job.failed { fill: var(--bad); }
.job.running { fill: var(--run); }
.key { display: inline-flex; align-items: center; gap: 6px; margin-right: 16px; }
.key svg { width: 22px; height: 10px; }
@media print { body { max-width: none; padding: 0; } th { position: static; } }
"""
