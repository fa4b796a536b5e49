// Here is how a figure went: a line with its interval as a band, and beside it another group's.
import { html, useRef } from "../html.js";
import { say } from "../language.js";
import { interval, sample, time, written } from "../numbers.js";
import { drawnChart, line, useChart } from "./chart.js";

const HOUR_S = 3600;

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

/** `own` and `other` (or null): `{ name, readings }`, from /api/v1/history; `days`: those of /api/v1/intervals, one
 *  point each; `metric`: its catalogue entry. */
export function Trend({ own, other, days, metric, zone, caption }) {
  const place = useRef(null);
  useChart(place, own.readings.length ? () => drawn(place.current, [own, other], days, metric, zone) : null, [own.readings, other?.readings, days, metric, zone]);
  return html`<figure class="trend">
    <figcaption>
      <span class="caption">${caption}</span>
      <span class="key"><span class="own line"></span>${own.name}</span>
      ${other && html`<span class="key"><span class="other line"></span>${other.name}</span>`}
      ${days.length > 0 && html`<span class="key"><span class="day"></span>${say("supervisor.each_day")}</span>`}
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

function drawn(place, [own, other], days, metric, zone) {
  const colour = (name) => getComputedStyle(place).getPropertyValue(name).trim();
  const day = new Map(days.map((one) => [Date.parse(one.to) / 1000, one.value]));
  const at = [...new Set([...own.readings.map((reading) => Date.parse(reading.to) / 1000), ...day.keys()])].sort((a, b) => a - b);
  const series = [[own, line(colour("--own"), colour("--own-band"))], ...(other ? [[other, line(colour("--other"), colour("--other-band"), [6, 4])]] : [])].flatMap(([{ readings }, looks]) => {
    const known = new Map(readings.map((one) => [Date.parse(one.to) / 1000, one]));
    return ["upper", "lower", "value"].map((end, number) => [looks[number], at.map((moment) => known.get(moment)?.[end])]);
  });
  const bands = [1, 4].filter((first) => first < series.length).map((first) => [first, first + 1, series[first - 1][0].band]);
  const target = metric.target === null ? [] : [[{ stroke: colour("--target"), width: 1, dash: [2, 3], points: { show: false } }, at.map(() => metric.target)]];
  const points = days.length ? [[{ stroke: "transparent", width: 0, points: { show: true, size: 6, width: 2, stroke: colour("--day"), fill: "transparent" } }, at.map((moment) => day.get(moment) ?? null)]] : [];
  return drawnChart(place, { zone, at, series: [...series, ...target, ...points], bands, metric });
}
