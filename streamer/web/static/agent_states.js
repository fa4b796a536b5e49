// Here is the tile of the agents: how many are in each state, and why those are away who are.
import { html } from "./html.js";
import { say } from "./language.js";
import { parts } from "./numbers.js";

const STATES = ["available", "busy", "wrap_up", "away", "unknown"];

export function AgentStates({ tile, live }) {
  const name = `tile-${tile.id}`;
  const shown = STATES.filter((state) => state !== "unknown" || tile.counts.unknown);
  const most = Math.max(1, ...shown.map((state) => tile.counts[state] ?? 0));
  return html`<article class="tile agent-states is-${live ? "plain" : "old"}" aria-labelledby=${name} data-metric="agent_states">
    <h2 class="name" id=${name}>${say("going_on.agents")}</h2>
    <p class="words">${tile.signed_in === null ? say("going_on.no_states") : say("going_on.signed_in_count", { n: text(tile.signed_in) })}</p>
    <dl>${shown.map((state) => html`<div key=${state} class="of-${state}">
      <dt>${say(`going_on.states.${state}`)}</dt><dd>${text(tile.counts[state])}</dd>
      <svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><path class="ground" d="M0 2H100" /><path d=${`M0 2H${Math.round((100 * (tile.counts[state] ?? 0)) / most)}`} /></svg>
      ${state === "away" && tile.reasons.length > 0 && html`<dd class="reasons">${tile.reasons.map(([reason, n]) => html`<span key=${reason}>${reason !== "unknown" ? reason : say("going_on.no_reason")} ${text(n)}</span>`)}</dd>`}
    </div>`)}</dl>
  </article>`;
}

function text(value) {
  const found = parts(value, "count");
  return found.text + found.unit;
}
