// Two heat maps, hour by weekday: the last week of what is chosen, and beside it what is usual at these hours.
import { html, useMemo } from "../html.js";
import { metricName, say } from "../language.js";
import { NO_DATA, parts, time } from "../numbers.js";
import { hourOfWeek, weekdays } from "./calendar.js";
import { tell } from "./words.js";

export const WEEKS_BEFORE = 8;
const HOURS = [...Array(24).keys()];
const DAYS = [...Array(7).keys()];

/** `readings`: of hours, of one group; `week`: the Monday of the week to show. */
export function HeatMaps({ readings, week, entry, zone, name }) {
  const { shown, usual, weeks } = useMemo(() => weekly(readings, week, zone), [readings, week, zone]);
  const all = [...shown.flat(), ...usual.flat()].filter((value) => value !== null);
  const scale = { low: entry.unit === "count" ? 0 : Math.min(...all), high: Math.max(...all) };
  const begun = readings.length ? tell("history.week_of", { day: time(Date.parse(week), "UTC", { day: "numeric", month: "long" }) }) : "";
  return html`<section class="heat" aria-labelledby="heat-name">
    <header><h2 id="heat-name">${tell("history.heat", { metric: metricName(entry.metric), group: name })}</h2></header>
    ${all.length === 0 ? html`<p class="none">${tell("history.nothing")}</p>` : html`<div class="maps">
      <${HeatMap} caption=${begun} values=${shown} scale=${scale} entry=${entry} />
      <${HeatMap} caption=${weeks ? tell(weeks === 1 ? "history.usual_of_one" : "history.usual_of", { n: weeks }) : tell("history.no_usual")} values=${usual} scale=${scale} entry=${entry} />
    </div>`}
  </section>`;
}

/** Values by hour and weekday: of the week, and the mean of the same hours in the weeks before it that have any
 *  counts: a center that is new has none of before. */
export function weekly(readings, week, zone) {
  const known = readings.filter(({ value }) => value !== null).map((reading) => ({ ...reading, ...hourOfWeek(Date.parse(reading.from), zone) }));
  const before = new Set(known.filter((one) => one.week < week && one.support).map((one) => one.week));
  const means = (some) => {
    const values = HOURS.map(() => DAYS.map(() => []));
    for (const { day, hour, value } of some) values[hour][day].push(value);
    return values.map((row) => row.map((all) => (all.length ? all.reduce((sum, value) => sum + value, 0) / all.length : null)));
  };
  return { shown: means(known.filter((one) => one.week === week)), usual: means(known.filter((one) => before.has(one.week))), weeks: before.size };
}

function HeatMap({ caption, values, scale, entry }) {
  const share = (value) => (scale.high > scale.low ? Math.round((100 * (value - scale.low)) / (scale.high - scale.low)) : 50);
  const text = (value) => parts(value, entry.unit, entry.currency).text;
  const { unit } = parts(scale.high, entry.unit, entry.currency);
  return html`<div class="wide" tabindex="0" role="region" aria-label=${caption}><table class="plain">
    <caption>${caption}${unit && html` <span class="unit">${unit}</span>`}</caption>
    <thead><tr><th scope="col"><span class="unseen">${tell("history.hour")}</span></th>${weekdays().map((day) => html`<th key=${day} scope="col">${day}</th>`)}</tr></thead>
    <tbody>${values.map((row, hour) => html`<tr key=${hour}><th scope="row">${String(hour).padStart(2, "0")}</th>
      ${row.map((value, day) => value === null ? html`<td key=${day} class="nothing">${NO_DATA}<span class="unseen">${say("states.no_data")}</span></td>` : html`<td key=${day} style=${{ "--heat": `${share(value)}%` }}>${text(value)}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}
