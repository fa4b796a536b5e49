// Here is how charts are drawn: with the page's colours, as wide as there is room, times where the site is.
import { useEffect } from "../html.js";
import { parts, time } from "../numbers.js";
import uPlot from "../vendor/uPlot.js";

export const HEIGHT = 220;
const DAY_S = 86_400;
const HOURS = { hour: "2-digit", minute: "2-digit" };
const DAYS = { day: "numeric", month: "short" };
const BOTH = { weekday: "short", ...HOURS };
const WHOLE = [1, 2, 5].flatMap((step) => [0, 1, 2, 3, 4, 5].map((power) => step * 10 ** power)).sort((a, b) => a - b);

/** Draws into `place` anew when one of `all` is another, and when the device changes its colours. */
export function useChart(place, draw, all) {
  useEffect(() => {
    if (!draw || !place.current) return undefined;
    const here = place.current;
    let chart = draw();
    const again = () => { chart.destroy(); chart = draw(); };
    const scheme = matchMedia("(prefers-color-scheme: light)");
    const watch = new ResizeObserver(() => chart.setSize({ width: here.clientWidth, height: HEIGHT }));
    watch.observe(here);
    scheme.addEventListener("change", again);
    return () => { watch.disconnect(); scheme.removeEventListener("change", again); chart.destroy(); };
  }, all);
}

/** `at`: seconds; `series`: pairs of a look and its values; `bands`: triples of two series' numbers, counted
 *  from 1, and what is between them; `metric`: `{ unit, currency }` of the values. */
export function drawnChart(place, { zone, at, series, bands, metric, fromZero = false }) {
  const colour = (name) => getComputedStyle(place).getPropertyValue(name).trim();
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: `12px ${colour("--font")}` };
  return new uPlot({
    width: place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (chart, low, high) => room(fromZero ? Math.min(0, low) : low, high, fromZero) } },
    axes: [
      { ...axis, size: 32, space: 80, values: (chart, moments, axisAt, room, apart) => moments.map((one) => time(one * 1000, zone, apart >= DAY_S ? DAYS : at.at(-1) - at[0] > DAY_S ? BOTH : HOURS)) },
      { ...axis, size: 56, ...(metric.unit === "points" || metric.unit === "count" ? { incrs: WHOLE } : {}), values: (chart, values) => values.map((one) => { const { text, unit } = parts(one, metric.unit, metric.currency); return unit === "%" ? `${text} %` : text; }) },
    ],
    tzDate: (moment) => uPlot.tzDate(new Date(moment * 1000), zone),
    series: [{}, ...series.map(([look]) => look)],
    bands: bands.map(([upper, lower, fill]) => ({ series: [upper, lower], fill })),
  }, [at, ...series.map(([, values]) => values)], place);
}

/** Upper and lower end of a band, and the line itself. */
export function line(stroke, band, dash) {
  const end = { stroke: "transparent", width: 0, points: { show: false }, band };
  return [end, { ...end }, { stroke, width: 2, dash, points: { show: true, size: 4, fill: stroke } }];
}

function room(low, high, fromZero) {
  const spare = Math.max((high - low) * 0.08, 1e-9);
  if (low === high) return fromZero ? [low, low + 1] : [low - 1, high + 1];
  return fromZero ? [low, high + spare] : [low - spare, high + spare];
}
