#pragma once

#include <string_view>

namespace ae::report {

/// The report's looks. Fonts are those that the reader's machine has.
inline constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark;
  --paper: #fffdf9; --ink: #22201c; --soft: #6d675d; --line: #ddd6c9;
  --train: #96702c; --test: #1f5f8b; --floor: #9c2f3b;
  --sans: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #17181a; --ink: #e8e4dc; --soft: #a19a8c; --line: #3a3a3c;
  --train: #cfae6e; --test: #7ab6e0; --floor: #ea939b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 1.0625rem/1.55 Charter, "Bitstream Charter", "Sitka Text", Cambria, Georgia, serif; }
main { max-width: 56rem; margin: 0 auto; padding: 3rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; font-weight: 600; }
h2 { font-size: 1.15rem; margin: 2.8rem 0 .6rem; font-weight: 600; }
h1, td { overflow-wrap: anywhere; }
p { max-width: 38rem; margin: .7rem 0; }
.data { color: var(--soft); margin: 0 0 1.6rem; }
.verdict { font-size: 1.25rem; line-height: 1.5; }
b { font-weight: 600; }
.note { border-left: 3px solid var(--floor); padding-left: .9rem; }
figure { margin: 1rem 0 0; break-inside: avoid; }
figcaption { color: var(--soft); font-size: .88rem; max-width: 38rem; margin-top: .5rem; }
img { display: block; max-width: 100%; height: auto; border-radius: 3px; }

.scale { font: .84rem/1 var(--sans); font-variant-numeric: tabular-nums; padding-top: 1.2rem; }
.scale figcaption { padding-top: .7rem; font: .88rem/1.55 Charter, "Bitstream Charter", "Sitka Text", Cambria, Georgia,
  serif; }
.line { position: relative; margin-left: 1rem; height: 1px; /* or its margins would collapse */ }
.line > div { position: absolute; }
.zero { position: absolute; right: 100%; top: -.5em; padding-right: .4rem; color: var(--soft); }
.beyond { left: 0; top: -1px; border-top: 2px dotted var(--soft); }
.reachable { right: 0; top: -1px; border-top: 2px solid var(--soft); }
.gained { top: -4px; border-top: 8px solid var(--test); opacity: .35; }
.mark { display: flex; white-space: nowrap; color: var(--soft); }
.mark.below { top: 0; align-items: flex-end; border-left: 1px solid; padding-left: .4rem; }
.mark.above { bottom: 0; align-items: flex-start; border-right: 1px solid; padding-right: .4rem; }
.mark span { color: var(--ink); }
.mark::after { content: ""; position: absolute; border: 4px solid; border-radius: 50%; }
.mark.below::after { top: -4px; left: -4.5px; }
.mark.above::after { bottom: -3px; right: -4.5px; }
.mark.model, .mark.model span { color: var(--test); }
.mark.model::after { border-width: 7px; margin: -3px; }
.mark.floor, .mark.floor span { color: var(--floor); }

.plot { position: relative; height: 18rem; margin: 1.2rem 7.4rem 3rem 3.4rem;
  font: .8rem/1 var(--sans); font-variant-numeric: tabular-nums; }
.plot svg { position: absolute; width: 100%; height: 100%; overflow: visible; }
.plot path, .plot line { fill: none; stroke: currentColor; vector-effect: non-scaling-stroke; }
.plot .grid { stroke: var(--line); }
.plot .curve { stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.plot .dot { stroke-width: 8; }
.plot .train { color: var(--train); }
.plot .test { color: var(--test); }
.plot .floor { color: var(--floor); }
.plot line.floor { stroke-dasharray: 5 4; }
.plot span { position: absolute; white-space: nowrap; }
.plot .tick, .plot .axis { color: var(--soft); }
.plot .y { right: 100%; transform: translateY(-50%); padding-right: .6rem; }
.plot .x { top: 100%; transform: translateX(-50%); padding-top: .6rem; }
.plot .end { left: 100%; transform: translateY(-50%); padding-left: .6rem; }
.plot .axis { top: 100%; width: 100%; text-align: center; padding-top: 1.8rem; }

.rows { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(13rem, 100%), 1fr)); gap: 1rem; }
.rows svg { width: 100%; height: 5rem; overflow: visible; border-bottom: 1px solid var(--line); }
.rows path { fill: none; stroke: var(--soft); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.rows .reconstruction { stroke: var(--test); }

table { border-collapse: collapse; width: 100%; font: .88rem/1.5 var(--sans);
  font-variant-numeric: tabular-nums; }
td, th { padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { font-weight: 500; color: var(--soft); white-space: nowrap; }
.numbers td, .numbers th { text-align: right; padding: .15rem 0 .15rem 1rem; }
.numbers td:first-child, .numbers th:first-child { padding-left: 0; }
.scroll { overflow-x: auto; max-width: 38rem; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr));
  gap: 0 2.5rem; }
details { margin-top: 2rem; }
summary { cursor: pointer; color: var(--soft); margin-bottom: .6rem; }
footer { color: var(--soft); font-size: .88rem; margin-top: 3rem; }
@media (max-width: 30rem) { main { padding-top: 1.5rem; } h1 { font-size: 1.5rem; }
  .verdict { font-size: 1.15rem; } .plot { margin-right: 6.8rem; margin-left: 2.6rem; } }
@media print { main { max-width: none; padding: 0; } h2 { break-after: avoid; }
  body { font-size: 11pt; } details:not([open]) { display: none; } }
)css";

}  // namespace ae::report
