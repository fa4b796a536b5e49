// Here are those who wait now, the longest first.
import { html, useState } from "../html.js";
import { say } from "../language.js";
import { waited } from "../now.js";
import { time } from "../numbers.js";
import { Shape } from "../shapes.js";
import { Download } from "./download.js";
import { begun, waits } from "./now.js";
import { tell, worded } from "./words.js";

const FIRST = 25;
const MOST = 500;
const SECONDS = { hour: "2-digit", minute: "2-digit", second: "2-digit" };

export function WaitingNow({ contacts, told, known, named, moment, zone }) {
  const [all, setAll] = useState(false);
  const found = contacts.filter(waits).sort((one, other) => begun(one) - begun(other));
  const shown = found.slice(0, all ? MOST : FIRST);
  return html`<section class="waiting-now" aria-labelledby="waiting-now-name">
    <header><h2 id="waiting-now-name">${tell("now.waiting")}</h2><${Download} path="/api/v1/waiting" asked=${{ queue: told.queue, team: told.team, state: "queued,offered" }} what=${tell("now.waiting")} /></header>
    ${!known ? html`<p class="none">${tell("now.no_contact_states")}</p>` : !found.length ? html`<p class="none">${tell("now.nobody_waits")}</p>`
      : html`<ol class="waiting-list">${shown.map((contact) => html`<${One} key=${`${contact.contact_id} ${contact.segment_id}`} contact=${contact} named=${named} moment=${moment} zone=${zone} />`)}</ol>`}
    ${found.length > shown.length && (all ? html`<p class="none">${tell("no_more", { n: MOST })}</p>` : html`<button type="button" class="more" onClick=${() => setAll(true)}>${tell("alerts.all", { n: found.length })}</button>`)}
  </section>`;
}

function One({ contact, named, moment, zone }) {
  const since = begun(contact);
  const offered = contact.state === "offered";
  const parts = [
    contact.channel && worded("channels", contact.channel),
    offered && (contact.agent_id ? tell("now.offered_to", { name: named("agent", contact.agent_id) }) : say("going_on.states.offered")),
    contact.priority !== null && contact.priority !== undefined && tell("now.priority", { n: contact.priority }),
    contact.team && named("team", contact.team),
  ].filter(Boolean);
  return html`<li class=${contact.over_target ? "is-late" : ""}>
    <b class="age">${contact.over_target && html`<${Shape} state="late" /><span class="unseen">${say("states.late")}: </span>`}${waited(since, moment)}</b>
    <span class="what"><b>${named("queue", contact.queue)}</b> <span class="more-of-it">${parts.join(" · ")}</span></span>
    <span class="id"><time>${time(since, zone, SECONDS)}</time> <code>${contact.contact_id}</code></span>
  </li>`;
}
