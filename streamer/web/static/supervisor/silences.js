// Here are the silences that hold, also over what does not ring.
import { dated } from "../alerts.js";
import { html, useRef } from "../html.js";
import { groupName, say } from "../language.js";
import { Shape } from "../shapes.js";
import { useOrder, whose } from "./alarm.js";
import { ask } from "./answers.js";
import { useAnswer } from "./asked.js";
import { endSilence } from "./orders.js";
import { tell } from "./words.js";

export function Silences({ orders, again, shared }) {
  const { answer } = useAnswer(`silences ${orders}`, (signal) => ask("/api/v1/silences", {}, signal), shared.stream.rung);
  const kept = useRef(null);
  if (answer) kept.current = answer;
  if (!kept.current?.length) return null;
  return html`<h3>${tell("alerts.silences")}</h3><ul class="silences">${kept.current.map((one) => html`<${Silence} key=${one.id} ...${{ one, again, shared }} />`)}</ul>`;
}

function Silence({ one, again, shared: { now, zone } }) {
  const { refused, sending, send } = useOrder(again);
  const name = `silence-${one.id}`;
  const group = one.key === null ? say("all") : groupName(one);
  return html`<li class="alarm is-silenced">
    <div class="said" id=${name}><b><${Shape} state="silenced" /> ${tell("explain.rule", { name: one.rule })} · ${group}</b>
      <p>${tell(whose(one.by) ? "alerts.silenced_by" : "alerts.silenced", { name: one.by, time: dated(one.until, now(), zone) })}${one.comment && html` <q>${one.comment}</q>`}</p></div>
    ${one.may_end && html`<div class="acts"><button type="button" aria-describedby=${name} aria-disabled=${sending ? "true" : "false"} onClick=${() => send(() => endSilence(one.id))}>${tell("alerts.end_silence")}</button></div>`}
    ${refused && html`<p class="refused" role="alert">${refused}</p>`}
  </li>`;
}
