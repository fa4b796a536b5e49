// Here are the queues now: how many wait, how long, and who serves them.
import { html } from "../html.js";
import { locale, say } from "../language.js";
import { clock, waited } from "../now.js";
import { NO_DATA } from "../numbers.js";
import { Shape } from "../shapes.js";
import { Download } from "./download.js";
import { begun, known, useHeldOrder, waits } from "./now.js";
import { tell, whole } from "./words.js";

const COLUMNS = ["waiting", "longest_wait_seconds", "waiting_over_target", "in_progress", "agents_available", "agents_busy", "agents_wrap_up", "agents_away"];
const collator = new Intl.Collator(locale, { numeric: true, sensitivity: "base" });

export function QueuesNow({ queues, agents, contacts, told, named, moment, go }) {
  const served = told.team && new Set(agents.flatMap((agent) => agent.queues ?? []));
  const rows = [...queues].filter(([key]) => key !== "unknown" && (!told.queue || key === told.queue) && (!served || served.has(key)));
  const first = waiting(contacts);
  const longest = rows.sort(([one, a], [other, b]) => (b.longest_wait_seconds ?? 0) - (a.longest_wait_seconds ?? 0) || collator.compare(named("queue", one), named("queue", other)));
  const sorted = useHeldOrder(longest, ([key]) => key, ".queues-now tbody");
  return html`<section class="queues-now" aria-labelledby="queues-now-name">
    <header><h2 id="queues-now-name">${tell("now.queues")}</h2><${Download} path="/api/v1/readings" asked=${{ metric: COLUMNS.join(","), window: "now", by: "queue", key: told.queue, form: "columns" }} what=${tell("now.queues")} /></header>
    ${!sorted.length ? html`<p class="none">${tell("now.no_queues")}</p>` : html`<div class="now-wide" tabindex="0" role="group" aria-labelledby="queues-now-name"><table class="now-table">
      <thead><tr><th scope="col">${tell("groups.queue.single")}</th>${COLUMNS.map((metric) => html`<th scope="col" key=${metric}>${tell(`now.columns.${metric}`)}</th>`)}</tr></thead>
      <tbody>${sorted.map(([key, row]) => html`<${Line} key=${key} name=${named("queue", key)} row=${row} since=${first.get(key)} moment=${moment} pick=${() => go({ queue: key === told.queue ? "" : key })} picked=${key === told.queue} />`)}</tbody>
    </table></div>`}
  </section>`;
}

// Since when the first of each queue waits.
function waiting(contacts) {
  const found = new Map();
  for (const contact of contacts.filter(waits)) found.set(contact.queue, Math.min(found.get(contact.queue) ?? Infinity, begun(contact)));
  return found;
}

function Line({ name, row, since, moment, pick, picked }) {
  const late = row.waiting_over_target > 0;
  const alone = row.waiting > 0 && row.agents_available === 0;
  return html`<tr class=${late ? "is-late" : ""}>
    <th scope="row"><button type="button" class="plain-button" aria-pressed=${picked ? "true" : "false"} onClick=${pick}>${name}</button></th>
    ${COLUMNS.map((metric) => html`<td key=${metric} class=${cellClass(metric, row, alone)}>${cell(metric, row, { since, moment, late, alone })}</td>`)}
  </tr>`;
}

function cellClass(metric, row, alone) {
  if (metric === "agents_available" && alone) return "is-unserved";
  if (metric === "waiting_over_target" && row[metric] > 0) return "is-late";
  return row[metric] ? "" : "none-of-it";
}

function cell(metric, row, { since, moment, late, alone }) {
  if (!known(row[metric])) return NO_DATA;
  if (metric === "longest_wait_seconds") {
    const text = since === undefined ? clock(row[metric]) : waited(since, moment);
    return html`${late && html`<${Shape} state="late" /><span class="unseen">${say("states.late")}: </span>`}${text}`;
  }
  if (metric === "agents_available" && alone) return html`<${Shape} state="unserved" /><span class="unseen">${say("states.unserved")}: </span>${whole(row[metric])}`;
  return whole(row[metric]);
}
