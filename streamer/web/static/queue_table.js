// Here is the tile of the queues: what waits in each, and who is free for it.
import { html } from "./html.js";
import { say } from "./language.js";
import { clock, judged, waited } from "./now.js";
import { NO_DATA, parts, written } from "./numbers.js";
import { Shape } from "./shapes.js";

const COLUMNS = ["waiting", "longest", "available", "service_level", "abandoned"];

export function QueueTable({ tile, live, now, asOf }) {
  const name = `tile-${tile.id}`;
  return html`<article class="tile queue-table is-${live ? "plain" : "old"}" aria-labelledby=${name} data-metric="queue_table">
    <h2 class="name" id=${name}>${say("going_on.queues")}</h2>
    ${tile.rows.length ? html`<table>
      <thead><tr><th scope="col"><span class="unseen">${say("going_on.queue")}</span></th>${COLUMNS.map((column) => html`<th scope="col" key=${column}>${say(`going_on.columns.${column}`)}</th>`)}</tr></thead>
      <tbody>${tile.rows.map((row) => html`<${Line} key=${row.key} row=${row} live=${live} now=${live ? now : asOf} />`)}</tbody>
    </table>` : html`<p class="empty">${say("going_on.no_queues")}</p>`}
    ${tile.more > 0 && html`<p class="more">${say("going_on.more_queues", { n: tile.more })}</p>`}
  </article>`;
}

function Line({ row, live, now }) {
  const state = live ? judged(row, now) : "";
  const unserved = live && row.waiting > 0 && row.available === 0;
  return html`<tr class=${state && `is-${state}`}>
    <th scope="row"><span class="queue">${row.name}</span></th>
    <td class=${row.waiting ? "some" : "none"}>${count(row.waiting)}</td>
    <td class=${`longest ${row.waiting ? "" : "none"}`}>${state && html`<${Shape} state=${state} /><span class="unseen">${say(`states.${state}`)}: </span>`}${row.waiting ? waited(row.since, now) : row.waiting === 0 ? clock(0) : NO_DATA}</td>
    <td class=${unserved ? "is-late" : ""}>${unserved && html`<${Shape} state="unserved" /><span class="unseen">${say("states.unserved")}: </span>`}${count(row.available)}</td>
    <td class=${`is-${live ? row.service_level.state : "old"}`}>${judgedLevel(row.service_level, live)}</td>
    <td>${count(row.abandoned)}</td>
  </tr>`;
}

function judgedLevel({ value, state }, live) {
  if (value === null) return state === "few" ? html`<${Shape} state="few" /><span class="unseen">${say("states.few")}</span>` : NO_DATA;
  const words = ["met", "missed", "unclear"].includes(state) && live;
  return html`${words && html`<${Shape} state=${state} /><span class="unseen">${say(`states.${state}`)}: </span>`}${written(value, "ratio")}`;
}

function count(value) {
  const { text, unit } = parts(value, "count");
  return text + unit;
}
