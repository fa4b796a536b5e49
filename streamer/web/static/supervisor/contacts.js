// Here are the contacts behind a number: what happened, how long it took, and what the customer said.
import { html, useEffect, useRef, useState } from "../html.js";
import { valid } from "../language.js";
import { time, written } from "../numbers.js";
import { ask } from "./answers.js";
import { useAnswer } from "./asked.js";
import { Download } from "./download.js";
import { Failure, Waiting } from "./failure.js";
import { tell, worded } from "./words.js";

const FIRST = 50;
const MOST = 200;
const SCALES = { nps: 10, cnx: 10, csat: 5, ces: 7, effort: 5 };
const DURATIONS = ["wait", "talk", "hold", "acw", "handle"];
const WORST_FIRST = new Set(["nps_score", "cnx_score", "csat_ratio", "csat_mean", "ces_score", "ces_easy_ratio", "effort_score", "fcr_survey_ratio", "detractors", "qa_score"]);

/** The order a metric's contacts are shown in where none was chosen. */
export function usualOrder(metric) {
  return WORST_FIRST.has(metric) ? "worst" : "newest";
}

/** `of`: `{ metric, window, by, key }`; `reading`: the figure they are behind; `order` and `reorder` ("newest",
 *  "worst"); `linked(agent)`. What is being read does not move away: a button shows what came since. */
export function Contacts({ of, reading, order, reorder, named, zone, linked }) {
  const [limit, setLimit] = useState(FIRST);
  const [commented, setCommented] = useState(false);
  const [wanted, setWanted] = useState(0);
  const asked = { ...of, order, limit };
  const key = JSON.stringify(asked);
  const { answer, problem, at } = useAnswer(key, (signal) => ask("/api/v1/contacts", asked, signal), wanted);
  const state = `${reading.value} ${reading.support}`;
  const then = useRef({ at: null, state });
  if (then.current.at !== at) then.current = { at, state };
  const changed = at !== null && then.current.state !== state;
  useEffect(() => {
    if (changed && !answer?.length) setWanted(wanted + 1);
  }, [changed]);
  const shown = answer?.filter((contact) => !commented || contact.comment);
  return html`<section class="contacts" aria-labelledby="contacts-name">
    <header>
      <h3 id="contacts-name">${tell("contacts")}</h3>
      <div class="choices" role="group" aria-label=${tell("order")}>
        ${["newest", "worst"].map((one) => html`<button type="button" key=${one} aria-pressed=${order === one ? "true" : "false"} onClick=${() => reorder(one)}>${tell(one)}</button>`)}
      </div>
      <label class="tick"><input type="checkbox" checked=${commented} onChange=${(event) => setCommented(event.target.checked)} />${tell("commented")}</label>
      ${answer?.length > 0 && html`<${Download} path="/api/v1/contacts" asked=${{ ...of, order }} what=${tell("contacts")} />`}
    </header>
    ${changed && answer?.length > 0 && html`<button type="button" class="more" onClick=${() => setWanted(wanted + 1)}>${tell("update")}</button>`}
    ${problem && html`<${Failure} problem=${problem} />`}
    ${!answer && !problem && html`<${Waiting} />`}
    ${shown?.length === 0 && html`<p class="none">${tell(commented ? "no_comments" : "no_contacts")}</p>`}
    <ol class="cards">${shown?.map((contact, at) => html`<li key=${contact.contact_id ? `${contact.contact_id} ${contact.time} ${contact.agent}` : at}><${Contact} ...${{ contact, named, zone, linked: of.by === "agent" ? null : linked }} /></li>`)}</ol>
    ${answer?.length >= limit && (limit < MOST ? html`<button type="button" class="more" onClick=${() => setLimit(MOST)}>${tell("more")}</button>` : html`<p class="none">${tell("no_more", { n: MOST })}</p>`)}
  </section>`;
}

function Contact({ contact, named, zone, linked }) {
  const moment = Date.parse(contact.time);
  return html`<article class="contact">
    <header>
      <time datetime=${contact.time}>${time(moment, zone, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" })}</time>
      <span class="where">${[contact.queue && named("queue", contact.queue), contact.channel && worded("channels", contact.channel), contact.reason && named("reason", contact.reason)].filter(Boolean).join(" · ")}</span>
      ${linked && contact.agent && html`<a class="agent" ...${linked(contact.agent)}>${named("agent", contact.agent)}</a>`}
    </header>
    <${Scores} contact=${contact} />
    ${contact.comment && html`<blockquote lang=${valid(contact.comment_language ?? "") ? contact.comment_language : undefined}>${contact.comment}</blockquote>`}
    <dl class="facts">
      ${DURATIONS.filter((name) => known(contact[`${name}_s`]) && (contact[`${name}_s`] || name === "wait")).map((name) => html`<div key=${name}><dt>${tell(`durations.${name}`)}</dt><dd>${written(contact[`${name}_s`], "seconds")}</dd></div>`)}
    </dl>
    ${(contact.contact_id || links(contact).length > 0) && html`<p class="download">${contact.contact_id && html`<code>${contact.contact_id}</code>`}${links(contact).map(([name, url]) => html`<a key=${name} href=${url} target="_blank" rel="noopener noreferrer">${name}</a>`)}</p>`}
    <ul class="marks">${marks(contact, named).map((mark) => html`<li key=${mark}>${mark}</li>`)}</ul>
  </article>`;
}

function Scores({ contact }) {
  const given = Object.entries(contact.answers ?? {}).filter(([, score]) => known(score));
  if (!given.length && !known(contact.qa_score)) return null;
  return html`<ul class="scores">
    ${given.map(([question, score]) => html`<li key=${question} class=${judged(question, score)}>${scored(question, score)}</li>`)}
    ${known(contact.qa_score) && html`<li>${tell("questions.qa")} <b>${written(contact.qa_score, "points")}</b></li>`}
  </ul>`;
}

function scored(question, score) {
  const name = worded("questions", question);
  if (typeof score === "boolean") return html`${name} <b>${tell(score ? "yes" : "no")}</b>`;
  const side = promoted(question, score);
  return html`${name} <b>${score}</b><span class="of">/${SCALES[question]}</span>${side && ` ${tell(side)}`}`;
}

/** "promoter", "passive" or "detractor" for the net scores, else null. */
export function promoted(question, score) {
  if (question !== "nps" && question !== "cnx") return null;
  return score >= 9 ? "promoter" : score <= 6 ? "detractor" : "passive";
}

function judged(question, score) {
  if (typeof score === "boolean") return score ? "good" : "bad";
  const good = { nps: score >= 9, cnx: score >= 9, csat: score >= 4, ces: score >= 5, effort: score <= 2 };
  const bad = { nps: score <= 6, cnx: score <= 6, csat: score <= 2, ces: score <= 3, effort: score >= 4 };
  return good[question] ? "good" : bad[question] ? "bad" : "";
}

function marks(contact, named) {
  const { outcome, transfer, resolved, repeat, first_contact_resolved: kept, segments, direction, team, customer_id: customer } = contact;
  return [
    outcome && outcome !== "answered" && worded("outcomes", outcome),
    direction === "outbound" && tell("outbound"),
    transfer && transfer !== "none" && tell("transferred", { to: worded("transfers", transfer) }),
    segments > 1 && tell("segments", { n: segments }),
    known(resolved) && tell(resolved ? "resolved" : "unresolved"),
    repeat && tell("repeat"),
    kept === false && tell("came_back"),
    team && named("team", team),
    customer && tell("customer", { id: customer }),
  ].filter(Boolean);
}

// Links to other systems, of the web alone.
function links(contact) {
  return Object.entries(contact.links ?? {}).filter(([, url]) => /^https?:\/\//.test(url));
}

function known(value) {
  return value !== null && value !== undefined;
}
