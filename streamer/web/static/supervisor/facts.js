// Here are the figures a verdict rests on, in plain words.
import { dated } from "../alerts.js";
import { html } from "../html.js";
import { locale } from "../language.js";
import { aim, interval, sample, time, written } from "../numbers.js";
import { tell, whole } from "./words.js";

const amount = new Intl.NumberFormat(locale, { maximumSignificantDigits: 2 });
const DAY = { day: "numeric", month: "short" };

export function Facts({ found, rule, metric, zone, now }) {
  const rows = [...facts(found, metric, zone, now), ["promised", rule && promised(rule)]].filter(([, value]) => value);
  if (!rows.length) return null;
  return html`<section class="facts-table" aria-labelledby="facts-name"><header><h3 id="facts-name">${tell("explain.figures")}</h3></header>
    <table class="plain"><tbody>${rows.map(([name, value]) => html`<tr key=${name}><th scope="row">${tell(`explain.${name}`)}</th><td>${value}</td></tr>`)}</tbody></table>
  </section>`;
}

function facts({ figures, learned, kind, metric: name }, metric, zone, now) {
  const said = (value) => (known(value) ? written(value, metric.unit, metric.currency) : "");
  const count = (value) => (known(value) && value !== 0 ? whole(Math.round(value)) : "");
  const live = kind === "limit" || kind === "unattended"; // counted, not sampled
  const scored = kind !== "no_data";
  const observed = { ...metric, ...figures, metric: name };
  return [
    ["observed", scored && known(figures.value) && [said(figures.value), interval(observed)].filter(Boolean).join(" ")],
    ["waiting_now", count(figures.waiting)],
    ["signed_in", known(figures.signed_in) && whole(figures.signed_in)],
    ["sample", scored && !live && (figures.support ? sample(observed) || count(figures.support) : "0")],
    ["needed", kind === "threshold" && count(figures.least)],
    ["since", known(figures.since) && dated(figures.since, now, zone)],
    ["aim", known(figures.target) && aim({ ...observed, target: figures.target })],
    ["sure", known(figures.z) && tell("explain.sure_words", { z: written(figures.z, "score") })],
    ["usual_now", learned && said(learned.value_now)],
    ["usual_here", learned && said(learned.value)],
    ["an_hour", learned && count(learned.an_hour)],
    ["learned", learned && learned.observations > 0 && tell("explain.learned_since", { n: whole(learned.observations), from: day(learned.since, zone), to: day(learned.until, zone) })],
    ["evidence", known(figures.evidence) && figures.line && tell("explain.evidence_words", { share: written(figures.evidence / figures.line, "ratio") })],
    ["a_month", count(figures.a_month)],
  ];
}

function promised({ false_alarms: n, shared, by }) {
  if (n === null) return tell("explain.promise.none");
  return tell(`explain.promise.${by === "all" ? "center" : shared ? "shared" : "each"}`, { n: amount.format(n) });
}

function day(ms, zone) {
  return time(ms, zone, DAY);
}

function known(value) {
  return value !== null && value !== undefined;
}
