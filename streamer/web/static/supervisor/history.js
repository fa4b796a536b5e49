// The tab of what was: one metric by intervals of the calendar, for all or by group, and its usual week.
import { html, useMemo, useState } from "../html.js";
import { locale, metricName, say } from "../language.js";
import { aim } from "../numbers.js";
import { ask } from "./answers.js";
import { useAnswer } from "./asked.js";
import { daysOf, INTERVALS, moved, placeName, placeOf, RANGES, weekOf } from "./calendar.js";
import { Download } from "./download.js";
import { Failure, Waiting } from "./failure.js";
import { className, Figure } from "./figure.js";
import { Grid } from "./grid.js";
import { HeatMaps, WEEKS_BEFORE } from "./heat_map.js";
import { local } from "./moments.js";
import { Choice } from "./toolbar.js";
import { groupings } from "./usual.js";
import { grouping, tell } from "./words.js";

const PATH = "/api/v1/intervals";
const MINUTE_MS = 60_000;
const TIME = "time"; // the first column's id
const NOTHING = { value: null, lower: null, upper: null, support: 0 };

/** What the address asks for, with what it leaves out. */
export function useHistory(told, known, now, zone) {
  const readable = [...known.values()].filter((entry) => entry.intervals.length);
  const entry = readable.find(({ metric }) => metric === told.figure) ?? known.get("contacts");
  const of = entry.by.includes(told.of) ? told.of : "all";
  const interval = entry.intervals.includes(told.interval) ? told.interval : entry.intervals.includes("1d") ? "1d" : entry.intervals[0];
  const days = told.from && told.to ? { from: told.from, to: told.to } : daysOf(told.range, now(), zone);
  const asked = { metric: entry.metric, interval, by: of, key: of === "all" ? "" : told.only, from: days.from, to: moved(days.to, 1) };
  const { answer, problem } = useAnswer(zone ? `history ${JSON.stringify(asked)}` : null, (signal) => ask(PATH, asked, signal), Math.floor(now() / MINUTE_MS)); // what is under way goes on
  const week = weekOf(days.to);
  const hours = { ...asked, interval: "1h", from: moved(week, -7 * WEEKS_BEFORE), to: moved(week, 7), by: asked.key ? of : "all" };
  const map = useAnswer(zone && entry.intervals.includes("1h") ? `hours ${JSON.stringify(hours)}` : null, (signal) => ask(PATH, hours, signal));
  return { readable, entry, of, interval, days, asked, answer, problem, week, map };
}

export function HistoryPage({ found, told, go, known, named, zone, now }) {
  const { entry, of, interval, days, asked, answer, problem, week, map } = found;
  const keys = useAnswer(of === "all" ? null : `keys ${of}`, (signal) => ask("/api/v1/readings", { by: of, metric: "contacts,answered", window: "90d" }, signal));
  const groups = useMemo(() => [...new Set([told.only, ...(keys.answer ?? []).map(({ key }) => key)].filter(Boolean))], [keys.answer, told.only]);
  const name = asked.key ? named(of, asked.key) : say("all");
  const today = local(now(), zone).slice(0, 10);
  const dated = (change) => ({ ...days, range: "", ...change });
  return html`<div class="history-page">
    <div class="toolbar" role="search" aria-label=${tell("history.choose")}>
      <${Choice} label=${tell("history.metric")} value=${entry.metric} change=${(figure) => go({ figure })} options=${found.readable.map(({ metric }) => [metric, metricName(metric)])} />
      <${Choice} label=${tell("history.range")} value=${told.from && told.to ? "" : told.range} change=${(range) => go(range ? { range, from: "", to: "" } : dated({}))} options=${[...RANGES, ""].map((range) => [range, tell(`history.ranges.${range || "own"}`)])} />
      <${Day} label=${tell("history.from")} value=${days.from} max=${days.to} change=${(from) => go(dated({ from }))} />
      <${Day} label=${tell("history.to")} value=${days.to} min=${days.from} max=${today} change=${(to) => go(dated({ to }))} />
      <${Choice} label=${tell("history.interval")} value=${interval} change=${(other) => go({ interval: other })} options=${INTERVALS.filter((one) => entry.intervals.includes(one)).map((one) => [one, tell(`history.intervals.${one}`)])} />
      <${Choice} label=${tell("grouping")} value=${of} change=${(other) => go({ of: other, only: "" })} options=${["all", ...groupings([...known.values()]).filter((by) => entry.by.includes(by))].map((by) => [by, by === "all" ? say("all") : grouping(by)])} />
      ${of !== "all" && html`<${Choice} label=${tell("history.group")} value=${told.only} change=${(only) => go({ only })} options=${[["", tell("history.each")], ...groups.map((key) => [key, named(of, key)])]} />`}
    </div>
    ${problem && html`<${Failure} problem=${problem} />`}
    ${answer ? html`<${Series} key=${JSON.stringify(asked)} ...${{ answer, entry, of, interval, named, zone, asked, go }} />` : !problem && html`<${Waiting} />`}
    ${map.answer && html`<${HeatMaps} readings=${map.answer} week=${week} entry=${entry} zone=${zone} name=${name} />`}
  </div>`;
}

function Day({ label, value, min, max, change }) {
  const changed = (event) => event.target.validity.valid && event.target.value && change(event.target.value);
  return html`<label class="choice"><span>${label}</span><input type="date" value=${value} min=${min} max=${max} required onChange=${changed} /></label>`;
}

// A row for each interval, a column for each group.
function Series({ answer, entry, of, interval, named, zone, asked, go }) {
  const [sort, setSort] = useState({ id: TIME, down: true });
  const { places, byPlace, keys } = useMemo(() => arranged(answer, zone), [answer, zone]);
  const columns = useMemo(() => [TIME, ...keys].map((id) => ({ id, group: "", span: 0 })), [keys]);
  const rows = useMemo(() => ordered(places, byPlace, sort), [places, byPlace, sort]);
  const caption = tell("table", { what: metricName(entry.metric), window: tell(`history.intervals.${interval}`) });
  if (!answer.length) return html`<p class="none">${tell("history.nothing")}</p>`;
  const head = ({ id }) => html`<span class="title">${id === TIME ? tell(`history.intervals.${interval}`) : of === "all" ? say("all") : named(of, id.slice(1))}</span>
    ${id !== TIME && html`<span class="aim">${aim({ ...entry, target: byPlace.get(places[0]).get(id)?.target ?? null })}</span>`}`;
  const cell = (place, { id }) => {
    const line = byPlace.get(place);
    if (id !== TIME) {
      const reading = line.get(id) ?? NOTHING;
      return { className: className(reading, entry, reading.target), content: html`<${Figure} figure=${reading} metric=${entry} target=${reading.target} />` };
    }
    const whole = [...line.values()].every(({ complete }) => complete);
    return { className: "name", content: html`<span class="value">${placeName(place, interval, zone)}</span>${!whole && html`<span class="detail">${tell("history.in_part")}</span>`}` };
  };
  const opened = (place) => interval === "1d" && go({ from: place, to: place, range: "", interval: "1h" });
  return html`<section class="series" aria-label=${caption}>
    <header><p>${tell("history.kept")}</p><${Download} path=${PATH} asked=${asked} what=${caption} /></header>
    <${Grid} label=${caption} columns=${columns} rows=${rows} pinned=${false} head=${head} cell=${cell} sorted=${sort} open=${opened}
      sort=${({ id }) => setSort({ id, down: sort.id === id ? !sort.down : true })} chosen=${null} />
  </section>`;
}

function arranged(answer, zone) {
  const byPlace = new Map();
  const keys = new Set();
  for (const reading of answer) {
    const place = placeOf(reading, zone);
    if (!byPlace.has(place)) byPlace.set(place, new Map());
    byPlace.get(place).set(`=${reading.key}`, reading); // a key may be any text
    keys.add(`=${reading.key}`);
  }
  return { places: [...byPlace.keys()].sort(), byPlace, keys: [...keys].sort(new Intl.Collator(locale, { numeric: true }).compare) };
}

function ordered(places, byPlace, { id, down }) {
  const value = (place) => byPlace.get(place).get(id)?.value ?? null;
  const rows = down ? [...places].reverse() : places;
  if (id === TIME) return rows;
  return [...rows].sort((a, b) => (value(a) === null) - (value(b) === null) || (down ? value(b) - value(a) : value(a) - value(b)));
}
