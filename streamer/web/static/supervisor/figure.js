// Here is one figure with all that may be said of it: interval, sample, target, and how it differs.
import { html } from "../html.js";
import { say } from "../language.js";
import { aim, interval, NO_DATA, sample, tooFew, written } from "../numbers.js";
import { Arrow, Shape } from "../shapes.js";
import { difference, few, state } from "./judgement.js";
import { tell, whole } from "./words.js";

/** In a cell of the table: two lines. */
export function Figure({ figure, metric, target }) {
  const found = state(figure, metric, target);
  if (found === "no_data") return html`<span class="value">${NO_DATA}</span><span class="unseen">${say("states.no_data")}</span>`;
  return html`<span class="value">${JUDGED.has(found) && html`<${Shape} state=${found} />`}${told(figure.value, metric)}</span>
    <span class="detail">${found === "few" ? shortFew(figure, metric) : detail(figure, metric)}</span>
    ${found !== "few" && JUDGED.has(found) && html`<span class="unseen">, ${say(`states.${found}`)}</span>`}`;
}

/** A value; counts in full. */
export function told(value, { unit, currency }, like = value) {
  return unit === "count" && value !== null ? whole(value) : written(value, unit, currency, like);
}

const JUDGED = new Set(["met", "missed", "unclear", "few"]);

export function className(figure, metric, target) {
  return `is-${state(figure, metric, target)}`;
}

// "64 to 81 · 112": the unit is in the value; what the sample counts is in the head of the column.
function detail(figure, metric) {
  const range = interval({ ...figure, unit: metric.unit, currency: metric.currency });
  const size = metric.unit === "count" ? "" : tell("n", { n: whole(figure.support) });
  return [range.replace(/^[(（]|[)）]$/g, ""), size].filter(Boolean).join(" · ");
}

function shortFew(figure, metric) {
  return tell("few", { n: figure.support, least: metric.least_support });
}

/** In a cell of the table: better or worse only where the intervals are apart. */
export function Difference({ first, second, metric }) {
  const { kind, amount } = difference(first, second, metric);
  if (kind === "unknown") return html`<span class="value">${NO_DATA}</span><span class="unseen">${say("states.no_data")}</span>`;
  if (kind === "few") return html`<span class="value"><${Shape} state="few" /></span><span class="detail">${say("states.few")}</span>`;
  if (kind === "same") return html`<span class="value" aria-hidden="true">≈</span><span class="detail">${tell("no_difference")}</span>`;
  const size = `${amount > 0 ? "+" : ""}${inPoints(amount, metric, first.value)}`;
  if (kind === "plain") return html`<span class="value">${size}</span><span class="detail">${tell("no_interval")}</span>`;
  return html`<span class="value"><${Arrow} way=${amount > 0 ? "up" : "down"} />${size}</span><span class="detail">${say(kind)}</span>`;
}

// The difference of two shares is in percentage points.
export function inPoints(amount, metric, like) {
  const text = told(amount, metric, like);
  return metric.unit === "ratio" ? text.replace(/\s*%/, `\u00a0${tell("percentage_points")}`) : text;
}

export function differs(first, second, metric) {
  return `is-${difference(first, second, metric).kind}`;
}

/** Large, with everything in words. */
export function Statement({ figure, metric, target }) {
  const found = state(figure, metric, target);
  const said = { ...metric, ...figure, target: target ?? null };
  return html`<div class="statement is-${found}">
    <p class="number">${told(figure.value, metric)}</p>
    <p class="words">${few(figure, metric) ? tooFew(said) : spoken(said)}</p>
    <p class="verdict"><${Shape} state=${found} /> <b>${say(`states.${found}`)}</b> ${aim(said) && html`<span class="aim">${aim(said)}</span>`}</p>
  </div>`;
}

/** "(64 to 81), 112 answers". */
export function spoken(reading) {
  const [range, size] = [interval(reading), reading.value === null ? "" : sample(reading)];
  return range && size ? say("figure", { interval: range, sample: size }) : range || size;
}

/** "better than support-1", in words; nothing is called a difference that is none. */
export function Beside({ first, second, metric, name }) {
  if (!second || second.value === null || metric.unit === "count") return null;
  const { kind, amount } = difference(first, second, metric);
  const range = interval({ ...second, unit: metric.unit, currency: metric.currency });
  const words = kind === "better" || kind === "worse" ? tell(`${kind}_than`, { size: inPoints(Math.abs(amount), metric, first.value) })
    : kind === "same" ? tell("no_difference") : kind === "few" ? tell("too_few_to_compare") : "";
  return html`<p class="beside"><span class="who">${name}</span> <b>${told(second.value, metric)}</b> ${range} ${words && html`<span class="told ${kind}">${words}</span>`}</p>`;
}
