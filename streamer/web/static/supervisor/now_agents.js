// Here are the agents now: what each does, for how long, and who has been away or in wrap-up unusually long.
import { html, useState } from "../html.js";
import { locale, say } from "../language.js";
import { waited } from "../now.js";
import { Shape } from "../shapes.js";
import { NO_PANEL } from "./address.js";
import { Download } from "./download.js";
import { useHeldOrder } from "./now.js";
import { tell, whole } from "./words.js";

const FIRST = 50;
const ORDER = ["available", "offered", "busy", "held", "wrap_up", "away", "unknown"];
const collator = new Intl.Collator(locale, { numeric: true, sensitivity: "base" });

/** The states there are, each with the number of agents in it. */
export function states(agents) {
  const count = new Map();
  for (const { state } of agents) count.set(state, (count.get(state) ?? 0) + 1);
  return ORDER.filter((state) => count.has(state)).map((state) => [state, count.get(state)]);
}

/** Whether an agent is in a state for longer than `limits` says is usual: `{ wrap_up, away }` in seconds. */
export function isLong({ state, since }, limits, moment) {
  const limit_s = limits?.[state];
  return limit_s !== undefined && limit_s !== null && moment - since > limit_s * 1000;
}

export function AgentsNow({ agents, total, told, known, limits, named, linked, moment, live }) {
  const [state, setState] = useState("");
  const [all, setAll] = useState(false);
  const long = (agent) => live && isLong(agent, limits, moment);
  const rank = (agent) => (long(agent) ? -1 : ORDER.indexOf(agent.state));
  const wanted = agents.filter((agent) => !state || agent.state === state)
    .sort((one, other) => rank(one) - rank(other) || one.since - other.since || collator.compare(named("agent", one.agent_id), named("agent", other.agent_id)));
  const found = useHeldOrder(wanted, (agent) => agent.agent_id, ".agents-now tbody");
  const shown = found.slice(0, all ? found.length : FIRST);
  const marked = agents.filter(long).length;
  return html`<section class="agents-now" aria-labelledby="agents-now-name">
    <header><h2 id="agents-now-name">${tell("now.agents")}</h2><${Download} path="/api/v1/agents" asked=${{ queue: told.queue, team: told.team, state }} what=${tell("now.agents")} /></header>
    ${!known ? html`<p class="none">${tell("now.no_agent_states")}</p>` : !agents.length ? html`<p class="none">${tell("now.nobody_there")}</p>` : html`
      <div class="choices" role="group" aria-label=${tell("now.by_state")}>
        ${[["", agents.length], ...states(agents)].map(([one, n]) => html`<button type="button" key=${one} aria-pressed=${state === one ? "true" : "false"} onClick=${() => setState(state === one ? "" : one)}>${one ? say(`going_on.states.${one}`) : say("all")} <span class="n">${whole(n)}</span></button>`)}
      </div>
      ${marked > 0 && html`<p class="unusual"><${Shape} state="near" /> ${tell("now.unusual", { n: whole(marked), wrap_up: waited(0, 1000 * limits.wrap_up), away: waited(0, 1000 * limits.away) })}</p>`}
      <div class="now-wide" tabindex="0" role="group" aria-labelledby="agents-now-name"><table class="now-table">
        <thead><tr>${["agent", "state", "for", "queues", "team"].map((column) => html`<th scope="col" key=${column}>${tell(`now.of_agents.${column}`)}</th>`)}</tr></thead>
        <tbody>${shown.map((agent) => html`<${Line} key=${agent.agent_id} agent=${agent} long=${long(agent)} named=${named} linked=${linked} moment=${moment} />`)}</tbody>
      </table></div>`}
    ${total > agents.length && html`<p class="none">${tell("now.not_listed", { n: whole(agents.length), more: whole(total - agents.length) })}</p>`}
    ${found.length > shown.length && html`<button type="button" class="more" onClick=${() => setAll(true)}>${tell("alerts.all", { n: whole(found.length) })}</button>`}
  </section>`;
}

function Line({ agent, long, named, linked, moment }) {
  const name = named("agent", agent.agent_id);
  const queues = (agent.queues ?? []).map((queue) => named("queue", queue)).join(", ");
  return html`<tr class=${`of-${agent.state}${long ? " is-near" : ""}`}>
    <th scope="row"><a ...${linked({ ...NO_PANEL, by: "agent", agent: agent.agent_id })}>${name}</a></th>
    <td><span class="dot" aria-hidden="true"></span>${say(`going_on.states.${agent.state}`)}${agent.reason && html` <span class="more-of-it">${named("reason", agent.reason)}</span>`}</td>
    <td class="for">${long && html`<${Shape} state="near" /><span class="unseen">${tell("now.long")}: </span>`}${waited(agent.since, moment)}</td>
    <td class="served" title=${queues}>${queues}</td>
    <td>${agent.team && named("team", agent.team)}</td>
  </tr>`;
}
