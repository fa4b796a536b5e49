// Here is a tile of what is going on now: one number, and in a word whether somebody must act.
import { html } from "./html.js";
import { metricName, say } from "./language.js";
import { clock, judged, waited } from "./now.js";
import { NO_DATA, parts } from "./numbers.js";
import { Shape } from "./shapes.js";
import { AlertMark, marked } from "./tile.js";

// `now`: the server's time. Old numbers do not tick: nobody knows whether they still wait.
export function LiveTile({ tile, alerts, live, now, asOf }) {
  const state = live ? stateOf(tile, now) : "old";
  const name = `tile-${tile.id}`;
  const [text, unit] = shown(tile, live ? now : asOf);
  return html`<article class="tile live-tile is-${state || "plain"}${marked(alerts)}" aria-labelledby=${name} data-metric=${tile.metric} data-state=${state}>
    <div class="about">
      <h2 class="name" id=${name}>${tile.label || metricName(tile.metric)}</h2>
      <${AlertMark} tile=${tile} alerts=${alerts} />
      <p class="verdict">
        ${state && html`<span class="state"><${Shape} state=${state} />${say(`states.${state}`)}</span>`}
        <span class="note">${noted(tile)}</span>
      </p>
    </div>
    <p class="figure"><span class=${`number${text.length > 4 ? " long" : ""}`} data-none=${text === NO_DATA}>${text}${unit && html`<span class="unit">${unit}</span>`}</span></p>
  </article>`;
}

function stateOf(tile, now) {
  if (tile.value === null) return "no_data";
  return tile.state === "unserved" ? "unserved" : judged(tile, now);
}

function shown(tile, now) {
  if (tile.since !== null && tile.since !== undefined) return [waited(tile.since, now), ""];
  if (tile.metric === "longest_wait_seconds" && tile.value === 0) return [clock(0), ""]; // nobody waits
  const { text, unit } = parts(tile.value, tile.unit, tile.currency);
  return [text, unit];
}

// "Billing": where somebody waits longest; "of 24 signed in".
function noted({ note, value }) {
  if (!note) return "";
  if (note.kind === "where") return note.text;
  return say(`going_on.${note.kind}`, { n: note.count ?? value });
}
