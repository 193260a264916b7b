/** The style of the page. The colours of Okabe and Ito suit colour-blind people. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --text: #1c1f23; --dim: #59616b; --line: #d9dde2; --back: #fff; --card: #f4f6f8; --accent: #0068b3;
  --layernorm: #0072b2; --linear: #59616b; --product: #b3589a; --softmax: #c44e00; --gelu: #008f6b;
  --addition: #111; --other: #a88500;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6e8eb; --dim: #a3abb5; --line: #363c44; --back: #15181c; --card: #1f242a; --accent: #56b4e9;
    --layernorm: #56b4e9; --linear: #9aa3ad; --product: #e09cc8; --softmax: #ff8a3d; --gelu: #2fc79c;
    --addition: #fff; --other: #f0e442;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem;
  font: 1rem/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); overflow-wrap: anywhere;
}
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { margin: .5rem 0; max-width: 46rem; }
.dim, dt, figcaption, th { color: var(--dim); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1.25rem 0; padding: 0; list-style: none; }
.tiles li { background: var(--card); border-radius: .5rem; padding: .75rem 1rem; font-size: .875rem; color: var(--dim); }
.tiles b { display: block; font-size: 1.5rem; line-height: 1.3; color: var(--text); font-weight: 600; overflow-wrap: normal; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 1rem 0; font-size: .9375rem; }
dd { margin: 0; }
code, .name { font: .875em/1.5 ui-monospace, monospace; }
.scroll { overflow-x: auto; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
.scroll > table { min-width: 100%; }
.scroll th, .scroll td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
.scroll th { font-weight: 500; }
.scroll th:first-child, .scroll td:first-child { text-align: left; padding-left: 0; }
.layers th:nth-child(5), .layers td:nth-child(5) { text-align: left; padding-left: 1.5rem; }
.kind::before { content: ""; display: inline-block; width: .65em; height: .65em; border-radius: 50%; margin-right: .45em; }
.layernorm::before { background: var(--layernorm); }
.linear::before { background: var(--linear); }
.product::before { background: var(--product); }
.softmax::before { background: var(--softmax); }
.gelu::before { background: var(--gelu); }
.addition::before { background: var(--addition); }
.other::before { background: var(--other); }
progress { appearance: none; display: block; width: 100%; height: .7rem; background: var(--card); border: 0; border-radius: .2rem; overflow: hidden; }
progress::-webkit-progress-bar { background: none; }
progress::-webkit-progress-value { background: var(--accent); }
progress::-moz-progress-bar { background: var(--accent); }
td.bar { width: 40%; }
#plot { position: relative; margin: 1rem 0; }
#plot .uplot { font: inherit; }
#plot output {
  position: absolute; z-index: 1; pointer-events: none; white-space: pre; overflow: hidden; max-width: 100%;
  padding: .5rem .75rem; font-size: .8125rem; line-height: 1.4; background: var(--card); border: 1px solid var(--line); border-radius: .4rem;
}
#plot output[hidden] { display: none; }
#plot .u-legend { color: var(--text); font-size: .875rem; }
#plot .u-legend .u-marker { border-radius: 50%; width: .75em; height: .75em; }
#kinds { display: none; }
details { margin: 1rem 0; }
summary { cursor: pointer; padding: .25rem 0; }
.pairs { list-style: none; padding: 0; display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
.pairs > li { background: var(--card); border-radius: .5rem; padding: .75rem 1rem; }
.count { white-space: nowrap; }
figure { margin: .5rem 0 0; display: flex; gap: .75rem; font-size: .8125rem; line-height: 1.4; }
figure img { flex: none; width: 96px; height: 96px; border-radius: .25rem; }
@media (max-width: 34rem) {
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
  td.bar, th.bar { display: none; }
  table { font-size: .8125rem; }
  .scroll th, .scroll td { padding: .3rem .2rem; }
  td.name { font-size: .6875rem; }
}
`;
