// Here is how a verdict came about: evidence, score or events over time, and the line that decides.
import { dated } from "../alerts.js";
import { html, useMemo, useRef } from "../html.js";
import { metricName } from "../language.js";
import { interval, written } from "../numbers.js";
import { drawnChart, HEIGHT, line, useChart } from "./chart.js";
import { tell, whole } from "./words.js";

const RECENT_MS = 3 * 86_400_000; // shown of evidence, and a day before it began
const DAY_MS = 86_400_000;
const ROWS = 48; // of the table: the highest of each stretch

/** `found`: an explanation of /api/v1/alerts/explain. */
export function Evidence({ found, metric, zone, now }) {
  const chart = useMemo(() => recent(found.chart, found.figures.since), [found.chart]);
  const place = useRef(null);
  useChart(place, chart?.points.length ? () => drawn(place.current, chart, metric, zone) : null, [chart, zone]);
  return html`<section class="evidence" aria-labelledby="evidence-name"><header><h3 id="evidence-name">${tell("explain.chart")}</h3></header>
    ${!chart?.points.length ? html`<p class="none">${tell("explain.no_chart")}</p>` : html`<figure class="trend">
      <figcaption>
        <span class="caption">${tell(`explain.of.${chart.of}`, { metric: metricName(found.metric) })}</span>
        ${legend(chart).map(([look, word]) => html`<span class="key" key=${word}><span class=${look}></span>${tell(`explain.lines.${word}`)}</span>`)}
      </figcaption>
      <p class="summary">${summary(chart, metric, zone, now)}</p>
      <div class="chart" ref=${place} style=${{ minHeight: `${HEIGHT}px` }} aria-hidden="true"></div>
      <details><summary>${tell("as_table")}</summary><${Table} ...${{ chart, metric, zone, now }} /></details>
    </figure>`}
  </section>`;
}

// What happened weeks ago would leave no room for the hours that matter.
function recent(chart, since) {
  if (chart?.of !== "evidence" || !chart.points.length) return chart;
  const last = chart.points.at(-1).at;
  const first = Math.min(last - RECENT_MS, (since ?? last) - DAY_MS);
  return { ...chart, points: chart.points.filter((point) => point.at >= first) };
}

function legend({ of, line: decides, over }) {
  if (of === "evidence") return [["own line", "evidence"], ["decision line", "line"], ...(over === null ? [] : [["target line", "over"]])];
  if (of === "score") return [["own line", "score"], ["band", "interval"], ...(decides === null ? [] : [["decision line", "target"]])];
  return [["own line", "events"], ["other line", "usual"]];
}

// What is drawn: evidence as a share of the line, so that 100 % decides.
function value({ of, line: decides }, number) {
  return of === "evidence" && number !== null ? number / decides : number;
}

function said({ of }, metric, number) {
  return written(number, of === "evidence" ? "ratio" : of === "events" ? "count" : metric.unit, metric.currency);
}

function summary(chart, metric, zone, now) {
  const told = chart.points.filter((point) => point.value !== null);
  if (!told.length) return tell("explain.no_chart");
  const shown = (point) => said(chart, metric, value(chart, point.value));
  const [most, last] = [told.reduce((best, point) => (point.value > best.value ? point : best)), told.at(-1)];
  const sum = (name) => whole(Math.round(chart.points.reduce((total, point) => total + (point[name] ?? 0), 0)));
  const isUsualKnown = chart.of !== "events" || chart.points.some((point) => point.usual);
  return tell(`explain.summary.${isUsualKnown ? chart.of : "events_only"}`, {
    most: shown(most), when: dated(chart.of === "evidence" ? most.at : last.at, now, zone), last: shown(last), n: sum("value"), usual: sum("usual"),
  });
}

function Table({ chart, metric, zone, now }) {
  const { of } = chart;
  const column = of === "events" ? "usual" : of === "score" ? "interval" : null;
  return html`<div class="wide" tabindex="0" role="region" aria-label=${tell("explain.chart")}><table class="plain">
    <thead><tr><th scope="col">${tell("until")}</th><th scope="col">${tell(`explain.lines.${of}`)}</th>${column && html`<th scope="col">${tell(`explain.lines.${column}`)}</th>`}</tr></thead>
    <tbody>${thinned(chart.points, of).reverse().map((point) => html`<tr key=${point.at}><th scope="row">${dated(point.at, now, zone)}</th><td>${said(chart, metric, value(chart, point.value))}</td>
      ${column && html`<td>${column === "usual" ? said(chart, metric, point.usual) : interval({ ...metric, ...point })}</td>`}</tr>`)}</tbody>
  </table></div>`;
}

// Of each stretch of time the step with the most evidence, else its last one.
function thinned(points, of) {
  const size = Math.ceil(points.length / ROWS);
  const found = [];
  for (let first = 0; first < points.length; first += size) {
    const stretch = points.slice(first, first + size);
    found.push(of === "evidence" ? stretch.reduce((best, point) => ((point.value ?? -1) > (best.value ?? -1) ? point : best)) : stretch.at(-1));
  }
  return found;
}

function drawn(place, chart, metric, zone) {
  const colour = (name) => getComputedStyle(place).getPropertyValue(name).trim();
  const { points, of, line: decides, over } = chart;
  const flat = (level, stroke, dash) => [{ stroke, width: 2, dash, points: { show: false } }, points.map(() => level)];
  const series = of === "events" ? [[{ ...line(colour("--other"), "", [6, 4]).at(-1), points: { show: false } }, points.map((point) => point.usual)]] : [];
  const own = of === "score" ? line(colour("--own"), colour("--own-band")) : [line(colour("--own"), "").at(-1)];
  const ends = of === "score" ? ["upper", "lower", "value"] : ["value"];
  own.forEach((look, at) => series.push([{ ...look, points: { show: of === "score" && at === 2, size: 4, fill: look.stroke } }, points.map((point) => value(chart, point[ends[at]]))]));
  if (decides !== null) series.push(flat(value(chart, decides), colour("--missed"), [8, 4]));
  if (of === "evidence" && over !== null) series.push(flat(value(chart, over), colour("--target"), [2, 3]));
  return drawnChart(place, {
    zone, at: points.map((point) => point.at / 1000), series, bands: of === "score" ? [[1, 2, colour("--own-band")]] : [],
    metric: of === "evidence" ? { unit: "ratio" } : of === "events" ? { unit: "count" } : metric, fromZero: of !== "score",
  });
}
