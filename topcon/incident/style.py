"""How the page looks: on a light screen, a dark one, a narrow one, and on paper. Nothing is fetched for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "paper": "#ffffff",
    "raised": "#f6f7f9",
    "ink": "#1c2128",
    "dim": "#59636e",
    "rule": "#d9dee4",
    "critical": "#b3261e",
    "warning": "#8a5300",
    "info": "#59636e",
    "good": "#1a7440",
    "one": "#1d66a8",
    "two": "#a3480b",
    "three": "#6b3fb5",
    "limit": "#59636e",
    "gap": "#eceff2",
}
DARK: Mapping[str, str] = {
    "paper": "#101418",
    "raised": "#181d23",
    "ink": "#e4e9ef",
    "dim": "#9da8b4",
    "rule": "#2d353e",
    "critical": "#ff8f85",
    "warning": "#eeb13a",
    "info": "#9da8b4",
    "good": "#5fca85",
    "one": "#6cb2f5",
    "two": "#f0a05a",
    "three": "#c3a1ff",
    "limit": "#9da8b4",
    "gap": "#1d232a",
}
"""The same names in either. Texts have a contrast of 4.5 to the paper and to what is raised, lines and marks of 3."""
TEXTS = ("ink", "dim", "critical", "warning", "info", "good", "one", "two", "three")
"""What letters are written in."""


def _colors(colors: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{color};" for name, color in colors.items())


_RULES = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 74rem; padding: 2.5rem 2rem 3rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
h1, h2, h3, p, dl, dd, ul, ol, figure { margin: 0; padding: 0; }
h1 { font-size: 1.85rem; line-height: 1.2; font-weight: 650; letter-spacing: -0.015em; }
h2 { font-size: 1.2rem; line-height: 1.3; font-weight: 650; margin: 3rem 0 0.25rem; }
h3 .mark { margin-right: 0.4rem; }
h3 { font-size: 1.05rem; line-height: 1.35; font-weight: 650; }
a { color: inherit; text-decoration-color: var(--dim); text-underline-offset: 0.2em; }
a:focus-visible { outline: 2px solid var(--one); outline-offset: 2px; }
code { font: 0.86em/1.4 ui-monospace, "SFMono-Regular", "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.dim, .note { color: var(--dim); }
.note { max-width: 48rem; margin-bottom: 0.9rem; font-size: 0.9rem; }
.eyebrow {
  color: var(--dim); font-size: 0.8rem; letter-spacing: 0.06em; text-transform: uppercase; margin-bottom: 0.3rem;
}
.critical { color: var(--critical); } .warning { color: var(--warning); } .info { color: var(--info); }
.good { color: var(--good); }
.severity { font-weight: 600; white-space: nowrap; }
.facts { display: flex; flex-wrap: wrap; gap: 0.7rem 2.2rem; margin-top: 1.1rem; }
.facts dt { color: var(--dim); font-size: 0.8rem; }
.facts dd { font-weight: 500; }
.summary { margin-top: 1.6rem; padding: 1rem 1.2rem; background: var(--raised); border-left: 4px solid var(--good); }
.summary.critical, .summary.warning { color: inherit; }
.summary.critical { border-color: var(--critical); } .summary.warning { border-color: var(--warning); }
.summary p { max-width: 56rem; }
.summary p + p, .summary p + ol, .summary ol + p { margin-top: 0.5rem; }
.summary .lead { font-size: 1.1rem; font-weight: 600; line-height: 1.4; }
.summary ol { list-style: none; }
.summary li { padding-left: 1.5rem; text-indent: -1.5rem; margin-top: 0.2rem; }
.summary li > .mark { display: inline-block; width: 1.5rem; text-indent: 0; }

svg { display: block; overflow: visible; }
svg svg { overflow: visible; }
svg text { font-size: 11px; fill: var(--dim); font-variant-numeric: tabular-nums; }
svg .value { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
.grid { stroke: var(--rule); } .base { stroke: var(--dim); }
.gap { fill: var(--gap); }
svg svg path { vector-effect: non-scaling-stroke; }
.line, .limit { fill: none; }
.line { stroke-width: 1.6px; stroke-linejoin: round; stroke-linecap: round; }
.line.one { stroke: var(--one); } .line.two { stroke: var(--two); } .line.three { stroke: var(--three); }
.band { fill-opacity: 0.34; } .area { fill-opacity: 0.13; }
.band.one, .area.one { fill: var(--one); } .band.two, .area.two { fill: var(--two); }
.band.three, .area.three { fill: var(--three); }
.limit { stroke: var(--limit); stroke-width: 1.4px; stroke-dasharray: 5 4; }
.bar.critical { fill: var(--critical); } .bar.warning { fill: var(--warning); } .bar.info { fill: var(--rule); }
.alive { stroke: var(--rule); stroke-width: 3px; }
.hour { stroke: var(--rule); stroke-width: 1px; stroke-dasharray: 1 3; }
.at { stroke-width: 1px; stroke-dasharray: 1 3; }
.at.oom { stroke: var(--critical); stroke-dasharray: none; } .at.bad { stroke: var(--warning); }
.at.exit, .at.start, .at.other { stroke: var(--dim); }
.mark { paint-order: stroke; }
use.mark { stroke: var(--paper); stroke-width: 2px; }
.mark.oom { fill: var(--critical); } .mark.bad { fill: var(--warning); }
.mark.exit, .mark.other { fill: var(--dim); } .mark.start { fill: var(--good); }
.defs { position: absolute; width: 0; height: 0; }

.timeline { display: grid; grid-template-columns: minmax(0, 13rem) minmax(0, 1fr); gap: 0 1.2rem; align-items: center; }
.timeline .name {
  align-self: end; font-size: 0.9rem; line-height: 1.35; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
}
.timeline .of-host { align-self: start; padding-top: 0.6rem; line-height: 1.4; white-space: normal; }
.timeline .of-host > * { display: block; }
.timeline .key > span { display: block; }
.timeline .heading { padding-top: 0.9rem; }
.legend {
  display: flex; flex-wrap: wrap; gap: 0.25rem 1.3rem; margin: 0.9rem 0 0; font-size: 0.85rem; color: var(--dim);
}
.legend svg { display: inline-block; vertical-align: -0.1em; margin-right: 0.45em; }

table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th { text-align: left; font-weight: 500; font-size: 0.8rem; color: var(--dim); padding: 0 1rem 0.35rem 0; }
thead th { border-bottom: 1px solid var(--dim); vertical-align: bottom; }
td { padding: 0.5rem 1rem 0.5rem 0; vertical-align: top; border-bottom: 1px solid var(--rule); }
td:last-child, th:last-child { padding-right: 0; }
.when, .number { overflow-wrap: normal; }
.number { text-align: right; }
.what .evidence { color: var(--dim); font-size: 0.88rem; }
.what code { color: var(--dim); white-space: nowrap; }
.pod { display: block; color: var(--dim); font-size: 0.85rem; }
.who { min-width: 9rem; max-width: 17rem; }

.container { border-top: 1px solid var(--rule); padding-top: 1.2rem; margin-top: 2rem; }
.container .head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.8rem; }
.container .head .state { margin-left: auto; font-weight: 500; }
.container .facts { margin-top: 0.6rem; gap: 0.4rem 1.8rem; font-size: 0.92rem; }
.wrong { list-style: none; margin-top: 0.7rem; font-size: 0.92rem; }
.wrong li { padding-left: 1.3rem; text-indent: -1.3rem; }
.wrong .mark { display: inline-block; width: 1.3rem; text-indent: 0; }
.charts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1.3rem 2rem;
  margin-top: 1.1rem;
}
figure { min-width: 0; }
figcaption { font-size: 0.85rem; line-height: 1.35; }
figcaption .title { font-weight: 600; font-size: 0.92rem; }
.key { color: var(--dim); }
figcaption .key { display: block; }
figcaption .key > span { white-space: nowrap; margin-right: 0.9em; }
.swatch {
  display: inline-block; width: 1.1em; height: 0; border-top: 2.5px solid; vertical-align: 0.28em; margin-right:
  0.4em;
}
.swatch.one { color: var(--one); } .swatch.two { color: var(--two); } .swatch.three { color: var(--three); }
.swatch.limit { color: var(--limit); border-top-style: dashed; border-top-width: 2px; }
.quiet { margin-top: 0.8rem; font-size: 0.88rem; color: var(--dim); }

.events { list-style: none; font-size: 0.92rem; }
.events li {
  display: grid; grid-template-columns: 4.6rem 1.3rem minmax(0, 18rem) minmax(0, 1fr); gap: 0 0.4rem; padding:
  0.18rem 0;
}
.events .pod { display: inline; margin-left: 0.5em; }
.events .day { display: block; font-weight: 600; padding-top: 0.8rem; }
.events time { color: var(--dim); }
footer {
  margin-top: 3rem; padding-top: 0.9rem; border-top: 1px solid var(--rule); font-size: 0.85rem; color: var(--dim);
}
footer p { max-width: 56rem; }
footer p + p { margin-top: 0.4rem; }

@media screen and (min-width: 64rem) {
  .when, .number { white-space: nowrap; }
}
@media screen and (min-width: 46.01rem) {
  svg .narrow { display: none; }
}
@media screen and (max-width: 46rem) {
  body { padding: 1.4rem 1rem 2rem; }
  h1 { font-size: 1.5rem; }
  h2 { margin-top: 2.2rem; }
  svg .wide { display: none; }
  .facts, .container .facts { display: grid; grid-template-columns: 1fr 1fr; gap: 0.6rem 1.2rem; }
  .timeline { grid-template-columns: minmax(0, 1fr); }
  .timeline .name { padding-top: 0.3rem; }
  .timeline .corner { display: none; }
  .findings, .findings tbody, .findings tr, .findings td { display: block; }
  .findings thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .findings tr { padding: 0.7rem 0; border-bottom: 1px solid var(--rule); }
  .findings td { padding: 0; border: 0; max-width: none; }
  .findings td:first-child, .findings .who { display: inline; }
  .findings td:first-child { margin-right: 0.5rem; }
  .findings .number { text-align: left; }
  .findings .when, .findings .number { display: inline; font-size: 0.88rem; color: var(--dim); margin-right: 0.9rem; }
  .findings .when::before, .findings .number::before { content: attr(data-label) " "; }
  .container .head .state { margin-left: 0; flex-basis: 100%; }
  .events li { grid-template-columns: 4.6rem 1.3rem minmax(0, 1fr); padding: 0.3rem 0; }
  .events .text { grid-column: 3; }
}
@media print {
  @page { margin: 14mm; }
  html { font-size: 12px; }
  body { max-width: none; padding: 0; font-size: 12px; }
  svg .wide { display: none; }
  h2, h3 { break-after: avoid; }
  .container .head, .container .facts, figure, tr, .events li, .summary, .timeline { break-inside: avoid; }
  .charts { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0.8rem 1.2rem; }
  a { text-decoration: none; }
  .summary, .bar, .gap, .band, .area, .mark { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

STYLE = (
    f":root {{ color-scheme: light dark; {_colors(LIGHT)} }}\n"
    f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_colors(DARK)} }} }}"
    f"{_RULES}"
)
"""The style sheet."""
