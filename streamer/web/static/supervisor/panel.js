// Here is what lies behind a number: beside the table, or over it on a small screen.
import { html, useEffect, useRef } from "../html.js";
import { metricName, metricWords, say } from "../language.js";
import { time } from "../numbers.js";
import { ask } from "./answers.js";
import { useAnswer } from "./asked.js";
import { Contacts } from "./contacts.js";
import { Distribution } from "./distribution.js";
import { Download } from "./download.js";
import { Failure, Waiting } from "./failure.js";
import { Statement } from "./figure.js";
import { targetOf } from "./judgement.js";
import { span, Trend } from "./trend.js";
import { tell } from "./words.js";

const LONG = new Set(["7d", "30d", "90d"]);
const DAY_MS = 86_400_000;
const RANGE = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };

/** `of`: `{ metric, window, by, key }`; `entry`: the metric's in the catalogue. */
export function Panel({ of, entry, order, reorder, close, news, named, zone, linked, page, unknown }) {
  const heading = useRef(null);
  const identity = JSON.stringify(of);
  useEffect(() => heading.current.focus(), [identity]);
  const { answer, problem } = useAnswer(identity, (signal) => ask("/api/v1/readings", of, signal), news);
  const [reading] = answer ?? [];
  const escaped = (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  };
  return html`<aside class="panel" aria-labelledby="panel-name" onKeyDown=${escaped}>
    <header class="title">
      <div>
        <h2 id="panel-name" tabindex="-1" ref=${heading}>${metricName(of.metric)} <span class="group">${named(of.by, of.key)}</span></h2>
        <p>${say(`windows.${of.window}`)}${reading && html` · <span class="range">${range(reading, zone)}</span>`}</p>
      </div>
      ${page && html`<a class="button" ...${page}>${tell("agent_page")}</a>`}
      <button type="button" class="close" onClick=${close} aria-label=${tell("close")}><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M5 5l14 14M19 5L5 19" /></svg></button>
    </header>
    ${problem && html`<${Failure} problem=${problem} />`}
    ${!reading && !problem && html`<${Waiting} />`}
    ${unknown && html`<p class="none" role="status">${tell("unknown_group")}</p>`}
    ${reading && html`
      <${Statement} figure=${reading} metric=${entry} target=${targetOf(entry, of.by, of.key)} />
      <p class="help">${metricWords(of.metric)} <span lang="en" class="formula">${entry.formula}</span></p>
      <${Distribution} of=${of} news=${news} />
      <${History} own=${of} entry=${entry} reading=${reading} named=${named} zone=${zone} />
      <${Contacts} ...${{ of, reading, order, reorder, named, zone, linked }} key=${identity} />
      <p class="note">${tell("kept")}</p>`}
  </aside>`;
}

function range({ from, to }, zone) {
  const [first, last] = [Date.parse(from), Date.parse(to)];
  return `${time(first, zone, RANGE)} – ${time(last, zone, last - first < DAY_MS ? undefined : RANGE)}`;
}

/** The trend of one group, and of another beside it. Asked anew every ten minutes, and with the first figure. */
export function History({ own, other, entry, reading, named, zone }) {
  const groups = other ? [own, other] : [own];
  const { length, step } = span(own.window);
  const to = Math.floor(Date.parse(reading.to) / 1000 / Math.min(step, 600)) * Math.min(step, 600);
  const withDays = LONG.has(own.window) && entry.intervals.includes("1d"); // a mean of weeks hides a bad Tuesday
  const question = (signal) => Promise.all([
    ...groups.map((of) => ask("/api/v1/history", { ...of, from: to - length, to, step }, signal)),
    withDays ? ask("/api/v1/intervals", { metric: own.metric, by: own.by, key: own.key, interval: "1d", from: to - length, to }, signal) : [],
  ]);
  const { answer, problem } = useAnswer(JSON.stringify([groups, to, reading.value === null]), question);
  const kept = useRef(null); // while the next one is asked for
  const group = JSON.stringify(groups);
  if (answer) kept.current = { group, answer };
  const shown = kept.current?.group === group ? kept.current.answer : null;
  if (problem) return html`<${Failure} problem=${problem} />`;
  const line = (at) => ({ name: named(groups[at].by, groups[at].key), readings: shown[at] });
  return html`<section class="history" aria-labelledby="history-name"><header><h3 id="history-name">${tell("trend")}</h3><${Download} path="/api/v1/history" asked=${{ ...own, from: to - length, to, step }} what=${tell("trend")} /></header>
    ${shown ? html`<${Trend} own=${line(0)} other=${other ? line(1) : null} days=${shown.at(-1)} metric=${{ ...entry, target: targetOf(entry, own.by, own.key) ?? null }} zone=${zone}
      caption=${tell("trend_caption", { metric: metricName(own.metric), window: say(`windows.${own.window}`) })} />` : html`<${Waiting} />`}
  </section>`;
}
