// Here is one agent: every figure beside the team's, how one of them went, and the contacts behind it.
import { html, useEffect, useRef } from "../html.js";
import { metricName, say } from "../language.js";
import { tooFew } from "../numbers.js";
import { Shape } from "../shapes.js";
import { ask } from "./answers.js";
import { useAnswer } from "./asked.js";
import { Contacts } from "./contacts.js";
import { Distribution } from "./distribution.js";
import { Failure, Waiting } from "./failure.js";
import { Beside, spoken, told } from "./figure.js";
import { few, state } from "./judgement.js";
import { History } from "./panel.js";
import { Window } from "./toolbar.js";
import { tell } from "./words.js";

export function AgentPage({ agent, metrics, metric, window, catalog, pick, order, reorder, news, named, zone, back, linked, linkedTeam, changeWindow, noted }) {
  const heading = useRef(null);
  useEffect(() => heading.current.focus(), [agent]);
  const asked = { metric: metrics.join(","), window };
  const own = useAnswer(JSON.stringify([agent, asked]), (signal) => ask("/api/v1/readings", { ...asked, by: "agent", key: agent }, signal).then(noted), news);
  const team = useTeam(agent, window);
  const theirs = useAnswer(team ? JSON.stringify([team, asked]) : null, (signal) => ask("/api/v1/readings", { ...asked, by: "team", key: team }, signal), news);
  const beside = new Map(theirs.answer?.map((reading) => [reading.metric, reading]));
  const of = { metric, window, by: "agent", key: agent };
  const reading = own.answer?.find((one) => one.metric === metric);
  return html`<main class="agent-page" id="main">
    <header class="title"><div>
      <p class="crumbs"><a ...${back}>← ${tell("all_agents")}</a></p>
      <h1 tabindex="-1" ref=${heading}>${named("agent", agent)}</h1>
      <p class="who">${[named("agent", agent) === agent ? "" : agent, say(`windows.${window}`)].filter(Boolean).join(" · ")}${team && html` · <a ...${linkedTeam(team)}>${named("team", team)}</a>`}</p></div>
      <${Window} window=${window} change=${changeWindow} />
    </header>
    ${own.problem && html`<${Failure} problem=${own.problem} />`}
    ${!own.answer && !own.problem && html`<${Waiting} />`}
    ${own.answer?.every((reading) => !reading.support) && html`<p class="none" role="status">${tell("unknown_group")}</p>`}
    <ul class="figures" aria-label=${tell("figures")}>${own.answer?.map((reading) => html`<${Card} key=${reading.metric} ...${{ reading, entry: catalog.get(reading.metric), other: beside.get(reading.metric), name: team && named("team", team), chosen: reading.metric === metric, pick }} />`)}</ul>
    ${reading && html`<h2>${metricName(metric)}</h2><div class="columns">
      <div>
        <${History} own=${of} other=${team ? { ...of, by: "team", key: team } : null} entry=${catalog.get(metric)} reading=${reading} named=${named} zone=${zone} />
        <${Distribution} of=${of} news=${news} />
      </div>
      <${Contacts} ...${{ of, reading, order, reorder, named, zone, linked }} key=${JSON.stringify(of)} />
    </div>`}
  </main>`;
}

// No reading says in which team an agent is: the contacts do, and the team most of them name it is.
function useTeam(agent, window) {
  const asked = { metric: "answered", window, by: "agent", key: agent, limit: 20 };
  const { answer } = useAnswer(JSON.stringify(asked), (signal) => ask("/api/v1/contacts", asked, signal));
  const times = new Map();
  for (const { team } of answer ?? []) if (team) times.set(team, (times.get(team) ?? 0) + 1);
  return [...times].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

function Card({ reading, entry, other, name, chosen, pick }) {
  const found = state(reading, entry, entry.target);
  const said = { ...entry, ...reading };
  return html`<li class=${`card is-${found}`}>
    <button type="button" aria-pressed=${chosen ? "true" : "false"} onClick=${() => pick(reading.metric)}>
      <span class="name">${metricName(reading.metric)}</span>
      <span class="value">${told(reading.value, entry)}</span>
      <span class="words">${few(reading, entry) ? tooFew(said) : reading.value === null ? say("states.no_data") : spoken(said)}</span>
      ${["met", "missed", "unclear"].includes(found) && html`<span class="verdict"><${Shape} state=${found} />${say(`states.${found}`)}</span>`}
    </button>
    <${Beside} first=${reading} second=${other} metric=${entry} name=${name} />
  </li>`;
}
