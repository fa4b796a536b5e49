// Here is a sparkline: the last hours of one number, its gaps as gaps, its target as a dotted line.
import { html } from "./html.js";
import { say } from "./language.js";
import { time } from "./numbers.js";

const WIDTH = 300;
const HEIGHT = 60;
const EDGE = 5; // room for the line's own width
const LATE = 0.9;

// What begins later than the others is drawn from its beginning, and says when that was.
export function Sparkline({ history, target, zone }) {
  const known = history.filter(([, value]) => value !== null);
  if (known.length < 2) return null;
  const [begin] = known[0];
  const shown = history.filter(([at]) => at >= begin);
  return html`<figure class="course" aria-hidden="true">
    <${Lines} history=${shown} known=${known} target=${target} />
    ${shown.length < LATE * history.length && html`<figcaption>${say("history", { from: time(begin, zone) })}</figcaption>`}
  </figure>`;
}

function Lines({ history, known, target }) {
  const [at, now] = history[history.length - 1];
  const place = placing(history, target === null ? known : [...known, [0, target]]);
  return html`<svg class="spark" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none">
    ${target !== null && html`<path class="aimed" d="M0 ${place.y(target)}H${WIDTH}" />`}
    ${runs(history).map((run) => html`<path class="line" d=${drawn(run, place)} />`)}
    ${now !== null && html`<path class="now" d="M${place.x(at)} ${place.y(now)}h0" />`}
  </svg>`;
}

function placing(history, shown) {
  const values = shown.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [from, to] = [history[0][0], history[history.length - 1][0]];
  const inner = { width: WIDTH - 2 * EDGE, height: HEIGHT - 2 * EDGE };
  return {
    x: (time) => round(EDGE + (to > from ? ((time - from) / (to - from)) * inner.width : inner.width)),
    y: (value) => round(EDGE + (high > low ? (1 - (value - low) / (high - low)) * inner.height : inner.height / 2)),
  };
}

// The stretches without a gap.
function runs(history) {
  const found = [[]];
  for (const point of history) {
    if (point[1] === null) found.push([]);
    else found[found.length - 1].push(point);
  }
  return found.filter((run) => run.length);
}

function drawn(run, place) {
  const points = run.map(([time, value]) => `${place.x(time)} ${place.y(value)}`);
  return points.length === 1 ? `M${points[0]}h0` : `M${points.join("L")}`;
}

function round(value) {
  return Math.round(value * 10) / 10;
}
