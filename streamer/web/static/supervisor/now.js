// Here is the tab of what is going on now: the queues with what waits, who waits longest, and what the agents do.
import { html, useEffect, useMemo, useReducer, useRef } from "../html.js";
import { say } from "../language.js";
import { clock, waited } from "../now.js";
import { NO_DATA } from "../numbers.js";
import { Shape } from "../shapes.js";
import { ask } from "./answers.js";
import { useAnswer } from "./asked.js";
import { Failure, Waiting } from "./failure.js";
import { isLive, useAge } from "./live.js";
import { AgentsNow } from "./now_agents.js";
import { QueuesNow } from "./now_queues.js";
import { WaitingNow } from "./now_waiting.js";
import { tell, whole } from "./words.js";

const METRICS = ["waiting", "longest_wait_seconds", "waiting_over_target", "in_progress", "agents_signed_in", "agents_available", "agents_busy", "agents_wrap_up", "agents_away", "agents_unknown"];
const SUMMED = ["waiting", "longest_wait_seconds", "in_progress", "agents_available", "agents_busy", "agents_wrap_up", "agents_away"];

/** What is asked for at once, so that it belongs together; asked again with each news. */
export function useNow({ queue, team }, stream) {
  const asked = { queue, team };
  return useAnswer(`now ${JSON.stringify(asked)}`, (signal) => readNow(asked, signal), stream.news);
}

async function readNow({ queue, team }, signal) {
  const readings = (others) => ask("/api/v1/readings", { window: "now", metric: METRICS.join(","), ...others }, signal);
  const whole = queue ? { by: "queue", key: queue } : team ? { by: "team", key: team } : { by: "all" };
  const [queues, total, contacts, agents] = await Promise.all([
    readings({ by: "queue" }), readings(whole), ask("/api/v1/waiting", { queue, team, state: "queued,offered" }, signal), ask("/api/v1/agents", { queue, team }, signal),
  ]);
  return { queues: byKey(queues), total: byKey(total).get(queue || team || "") ?? {}, contacts: contacts.map(inMs), agents: agents.map(inMs), agents_total: agents.total ?? agents.length, data_age_s: (total[0] ?? queues[0])?.data_age_s ?? null };
}

// Times in ms.
function inMs(item) {
  return { ...item, since: Date.parse(item.since), waiting_since: item.waiting_since ? Date.parse(item.waiting_since) : null };
}

function byKey(readings) {
  const found = new Map();
  for (const { key, metric, value } of readings) found.set(key, { ...found.get(key), [metric]: value });
  return found;
}

/** `told.queue` and `told.team` narrow everything. */
export function NowPage({ answer, problem, at, told, go, named, linked, stream, now }) {
  useTick();
  const live = isLive(useAge(answer?.data_age_s, at));
  const teams = useMemo(() => [...new Set([told.team, ...(answer?.agents ?? []).map((agent) => agent.team)].filter(Boolean))].sort(), [answer, told.team]);
  if (problem && !answer) return html`<${Failure} problem=${problem} />`;
  if (!answer) return html`<${Waiting} />`;
  const moment = now();
  const queues = [...answer.queues.keys()].filter((key) => key !== "unknown");
  const shared = { told, named, linked, moment, live, zone: stream.zone };
  return html`<div class=${`now${live ? "" : " old"}`}>
    ${problem && html`<${Failure} problem=${problem} />`}
    <div class="toolbar" role="search" aria-label=${tell("now.narrow")}>
      <${Narrowed} by="queue" keys=${queues} value=${told.queue} named=${named} change=${(queue) => go({ queue })} />
      <${Narrowed} by="team" keys=${teams} value=${told.team} named=${named} change=${(team) => go({ team })} />
    </div>
    <${Summary} total=${answer.total} contacts=${answer.contacts} moment=${moment} />
    <div class="now-sections">
      <${QueuesNow} ...${shared} queues=${answer.queues} agents=${answer.agents} contacts=${answer.contacts} go=${go} />
      <${WaitingNow} ...${shared} contacts=${answer.contacts} known=${known(answer.total.waiting)} />
      <${AgentsNow} ...${shared} agents=${answer.agents} total=${answer.agents_total} known=${known(answer.total.agents_signed_in)} limits=${stream.limits} />
    </div>
  </div>`;
}

// Waits and states grow each second, also when nothing is heard.
function useTick() {
  const [, tick] = useReducer((count) => (count + 1) % 3600, 0);
  useEffect(() => {
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, []);
}

function Narrowed({ by, keys, value, named, change }) {
  const all = [...new Set([value, ...keys].filter(Boolean))].map((key) => [key, named(by, key)]);
  return html`<label class="choice"><span>${tell(`groups.${by}.single`)}</span>
    <select value=${value} onChange=${(event) => change(event.target.value)}>
      <option value="" selected=${value === ""}>${tell(`now.all.${by}`)}</option>
      ${all.map(([key, name]) => html`<option key=${key} value=${key} selected=${key === value}>${name}</option>`)}
    </select></label>`;
}

function Summary({ total, contacts, moment }) {
  const longest = firstWaiting(contacts);
  const shown = (metric) => {
    if (!known(total[metric])) return NO_DATA;
    if (metric === "longest_wait_seconds") return longest === null ? clock(total[metric]) : waited(longest, moment);
    return whole(total[metric]);
  };
  const hot = total.waiting > 0 && total.agents_available === 0;
  return html`<dl class="summary">${SUMMED.map((metric) => html`<div key=${metric} class=${metric === "agents_available" && hot ? "is-unserved" : ""}>
    <dt>${tell(`now.summary.${metric}`)}</dt>
    <dd>${metric === "agents_available" && hot && html`<${Shape} state="unserved" /><span class="unseen">${say("states.unserved")}: </span>`}${shown(metric)}</dd></div>`)}</dl>`;
}

/** Since when the one who waits longest does; null: nobody waits. */
export function firstWaiting(contacts) {
  const since = contacts.filter(waits).map(begun);
  return since.length ? Math.min(...since) : null;
}

/** `rows` in order; while the pointer or the focus is in `place`, in the order they were in: no row moves away. */
export function useHeldOrder(rows, id, place) {
  const kept = useRef([]);
  const held = document.querySelector(`${place}:is(:hover, :focus-within)`);
  const before = new Map(kept.current.map((key, at) => [key, at]));
  const found = held ? [...rows].sort((one, other) => (before.get(id(one)) ?? Infinity) - (before.get(id(other)) ?? Infinity) || 0) : rows;
  kept.current = found.map(id);
  return found;
}

export function waits({ state, direction }) {
  return direction !== "outbound" && (state === "queued" || state === "offered");
}

export function begun(contact) {
  return contact.waiting_since ?? contact.since;
}

export function known(value) {
  return value !== null && value !== undefined;
}
