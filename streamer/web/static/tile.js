// Here is one tile: a number that is read from five metres, and what one must know not to misread it.
import { cut, ordered } from "./alerts.js";
import { html } from "./html.js";
import { GoalBand } from "./goal_band.js";
import { groupName, metricName, say } from "./language.js";
import { interval, NO_DATA, parts, sample, tooFew, written } from "./numbers.js";
import { Arrow, Shape } from "./shapes.js";
import { Sparkline } from "./sparkline.js";

// `window`: that of the page; `live` false: the numbers are old, and look so; no state is claimed for them.
export function Tile({ tile, alerts, window, live, zone }) {
  const state = live ? tile.state : "old";
  const name = `tile-${tile.id}`;
  return html`<article class="tile is-${state}${marked(alerts)}" aria-labelledby=${name} data-metric=${tile.metric} data-state=${state}>
    <h2 class="name" id=${name}>${tile.label || metricName(tile.metric)}${special(tile, window).map((words) => html` <span class="of">${words}</span>`)}</h2>
    <${AlertMark} tile=${tile} alerts=${alerts} />
    <${Figure} tile=${tile} />
    <div class="below">
      <p class="verdict"><span class="state"><${Shape} state=${state} />${say(`states.${state}`)}</span></p>
      <${GoalBand} tile=${tile} />
      <div class="past">
        <${Sparkline} history=${tile.history} target=${tile.target} zone=${zone} />
        <${Trend} tile=${tile} />
      </div>
    </div>
  </article>`;
}

/** The class of a tile that unseen alerts are about. */
export function marked(alerts) {
  return alerts.some((alert) => !alert.acknowledged) ? " is-alerted" : "";
}

// Which alert a tile has: of which group, where it is one within; how many more.
export function AlertMark({ tile, alerts }) {
  const [worst] = ordered(alerts);
  if (!worst) return null;
  const same = worst.by === tile.by && worst.key === tile.key;
  const whose = same ? "" : cut(groupName(worst), 12);
  return html`<p class="alert-mark ${worst.severity}"><${Shape} state=${worst.severity} />
    <span class="unseen">${say(`watch.${worst.severity}`)}</span>
    <span class="whose">${whose}</span>${alerts.length > 1 && html`<span>+${alerts.length - 1}</span>`}
  </p>`;
}

// What is not as one expects: the stat, of which the mean needs no word, and a window of its own.
function special({ stat, window: own, label }, window) {
  const words = label ? "" : say(`stats.${stat}`);
  return [words.startsWith("stats.") ? "" : words, own !== window && say(`windows.${own}`)].filter(Boolean);
}

function Figure({ tile }) {
  if (tile.state === "few") return html`<p class="figure few">${tooFew(tile)}</p>`;
  return html`<p class="figure">
    <${Number} tile=${tile} />${" "}
    <span class="detail unseen">${detail(tile)}</span>
  </p>`;
}

function Number({ tile: { value, unit, currency } }) {
  const found = parts(value, unit, currency);
  const size = found.text.length > 4 ? "number long" : "number";
  return html`<span class=${size} data-none=${found.text === NO_DATA}>
    ${found.before && html`<span class="unit">${found.before}</span>`}${found.text}${found.unit &&
    html`<span class="unit">${found.unit}</span>`}
  </span>`;
}

function detail(tile) {
  const [range, size] = [interval(tile), tile.value === null ? "" : sample(tile)];
  return range && size ? say("figure", { interval: range, sample: size }) : range || size;
}

// Only where the intervals are apart; which way is good is said in a word, not by the arrow.
function Trend({ tile }) {
  const { trend, trend_is_good: good, last_week: then, unit, currency, value } = tile;
  if (trend !== "up" && trend !== "down") return null;
  const before = written(then?.value ?? null, unit, currency, value ?? undefined);
  const word = good === null ? (trend === "up" ? "higher" : "lower") : good ? "better" : "worse";
  return html`<p class="trend ${word}">
    <${Arrow} way=${trend} />
    <span class="unseen">${say(`trend_${trend}`, { value: before })}: ${say(word)}</span>
    <span class="told" aria-hidden="true"><strong>${say(word)}</strong><span>${say("last_week", { value: before })}</span></span>
  </p>`;
}
