// Here is how a figure went: a line with its interval as a band, and beside it another group's.
import { html, useEffect, useRef } from "../html.js";
import { say } from "../language.js";
import { interval, parts, sample, time, written } from "../numbers.js";
import uPlot from "../vendor/uPlot.js";

const HOUR_S = 3600;
const HEIGHT = 220;
const WHOLE = [1, 2, 5].flatMap((step) => [0, 1, 2, 3, 4, 5].map((power) => step * 10 ** power)).sort((a, b) => a - b);

/** How far back, in how many steps: seconds. Windows up to 24 h are kept for a day. */
export function span(window) {
  switch (window) {
    case "24h": return { length: 14 * 24 * HOUR_S, step: 12 * HOUR_S };
    case "7d": return { length: 35 * 24 * HOUR_S, step: 24 * HOUR_S };
    case "30d": return { length: 60 * 24 * HOUR_S, step: 2 * 24 * HOUR_S };
    case "90d": return { length: 9 * 24 * HOUR_S, step: 24 * HOUR_S };
    default: return { length: 23.5 * HOUR_S, step: HOUR_S / 2 };
  }
}

/** `own` and `other` (or null): `{ name, readings }`, from /api/v1/history; `metric`: its catalogue entry. */
export function Trend({ own, other, metric, zone, caption }) {
  const place = useRef(null);
  useEffect(() => {
    if (!own.readings.length) return undefined;
    const here = place.current;
    let chart = drawn(here, [own, other], metric, zone);
    const again = () => { chart.destroy(); chart = drawn(here, [own, other], metric, zone); };
    const scheme = matchMedia("(prefers-color-scheme: light)");
    const watch = new ResizeObserver(() => chart.setSize({ width: here.clientWidth, height: HEIGHT }));
    watch.observe(here);
    scheme.addEventListener("change", again);
    return () => { watch.disconnect(); scheme.removeEventListener("change", again); chart.destroy(); };
  }, [own.readings, other?.readings, metric, zone]);
  return html`<figure class="trend">
    <figcaption>
      <span class="caption">${caption}</span>
      <span class="key"><span class="own line"></span>${own.name}</span>
      ${other && html`<span class="key"><span class="other line"></span>${other.name}</span>`}
      ${metric.interval && html`<span class="key"><span class="band"></span>${say("supervisor.interval")}</span>`}
      ${metric.target !== null && html`<span class="key"><span class="target line"></span>${say("supervisor.target")}</span>`}
    </figcaption>
    <div class="chart" ref=${place} aria-hidden="true"></div>
    <details><summary>${say("supervisor.as_table")}</summary>
      <div class="wide" tabindex="0" role="region" aria-label=${caption}><table class="plain">
        <thead><tr><th scope="col">${say("supervisor.until")}</th><th scope="col">${own.name}</th>${other && html`<th scope="col">${other.name}</th>`}</tr></thead>
        <tbody>${own.readings.map((reading, at) => html`<tr key=${reading.to}><th scope="row">${moment(reading, zone)}</th><td>${told(reading, metric)}</td>
          ${other && html`<td>${other.readings[at] && told(other.readings[at], metric)}</td>`}</tr>`).reverse()}</tbody>
      </table></div>
    </details>
  </figure>`;
}

function told(reading, { currency }) {
  return [written(reading.value, reading.unit, currency), interval({ ...reading, currency }), sample(reading)].filter(Boolean).join(" ");
}

function moment(reading, zone) {
  return time(Date.parse(reading.to), zone, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

function drawn(place, [own, other], metric, zone) {
  const colour = (name) => getComputedStyle(place).getPropertyValue(name).trim();
  const lines = [line(colour("--own"), colour("--own-band")), ...(other ? [line(colour("--other"), colour("--other-band"), [6, 4])] : [])];
  const at = own.readings.map((reading) => Date.parse(reading.to) / 1000);
  const series = [own, ...(other ? [other] : [])].map(({ readings }) => new Map(readings.map((one) => [Date.parse(one.to) / 1000, one])));
  const aligned = series.flatMap((known) => ["upper", "lower", "value"].map((end) => at.map((moment) => known.get(moment)?.[end] ?? null)));
  const target = metric.target === null ? [] : [at.map(() => metric.target)];
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: `12px ${colour("--font")}` };
  return new uPlot({
    width: place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (chart, low, high) => room(low, high) } },
    axes: [
      { ...axis, size: 32, space: 72, values: (chart, moments, ...rest) => moments.map((one) => time(one * 1000, zone, rest[2] >= 12 * HOUR_S ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" })) },
      { ...axis, size: 56, ...(metric.unit === "points" || metric.unit === "count" ? { incrs: WHOLE } : {}), values: (chart, values) => values.map((one) => { const { text, unit } = parts(one, metric.unit, metric.currency); return unit === "%" ? `${text} %` : text; }) },
    ],
    tzDate: (moment) => uPlot.tzDate(new Date(moment * 1000), zone),
    series: [{}, ...lines.flat(), ...(target.length ? [{ stroke: colour("--target"), width: 1, dash: [2, 3], points: { show: false } }] : [])],
    bands: lines.map((_, number) => ({ series: [3 * number + 1, 3 * number + 2], fill: lines[number][0].band })),
  }, [at, ...aligned, ...target], place);
}

// Upper and lower end of the band, and the line itself.
function line(stroke, band, dash) {
  const end = { stroke: "transparent", width: 0, points: { show: false }, band };
  return [end, { ...end }, { stroke, width: 2, dash, points: { show: true, size: 4, fill: stroke } }];
}

function room(low, high) {
  const spare = Math.max((high - low) * 0.08, 1e-9);
  return low === high ? [low - 1, high + 1] : [low - spare, high + spare];
}
