// Here is a goal band: the interval of a figure as a band, its target as a tick, and the good side of it.
import { html } from "./html.js";
import { aim, sample } from "./numbers.js";

const EDGE = 0.15; // of what is shown, on either side

export function GoalBand({ tile }) {
  const { value, lower, upper, target } = tile;
  const ends = [lower ?? value, upper ?? value];
  const known = value !== null && (target !== null || lower !== null);
  return html`<div class="goal">
    ${known && html`<${Band} from=${ends[0]} to=${ends[1]} value=${value} target=${target} better=${tile.better} />`}
    <p class="marks"><span class="sample" aria-hidden="true">${value === null ? "" : sample(tile)}</span><span class="aim">${aim(tile)}</span></p>
  </div>`;
}

function Band({ from, to, value, target, better }) {
  const shown = target === null ? [from, to] : [from, to, target];
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  const room = EDGE * (high - low) || 1;
  const at = (place) => `${round((100 * (place - low + room)) / (high - low + 2 * room))}%`;
  const size = (one, other) => `${round((100 * (other - one)) / (high - low + 2 * room))}%`;
  const good = target !== null && (better === "higher" ? [target, high + room] : [low - room, target]);
  return html`<svg class="band" aria-hidden="true">
    <rect class="ground" x="0" y="35%" width="100%" height="30%" />
    ${good && html`<rect class="good" x=${at(good[0])} y="35%" width=${size(...good)} height="30%" />`}
    <rect class="range" x=${at(from)} y="12%" width=${size(from, to)} height="76%" />
    <line class="here" x1=${at(value)} x2=${at(value)} y1="12%" y2="88%" />
    ${target !== null && html`<line class="tick" x1=${at(target)} x2=${at(target)} y1="0" y2="100%" />`}
  </svg>`;
}

function round(value) {
  return Math.round(value * 10) / 10;
}
