// Here are the two forms below an alert: who acknowledges it may say a word, who silences it says for how long.
import { html, useLayoutEffect, useRef, useState } from "../html.js";
import { groupName } from "../language.js";
import { Problem } from "./answers.js";
import { acknowledge, refusal, silence, SPANS } from "./orders.js";
import { tell } from "./words.js";

const LONGEST = 500; // letters of a comment

export function AcknowledgeForm({ alarm, close, done }) {
  const send = (given) => acknowledge(alarm.id, given.get("comment").trim());
  return html`<${Form} label=${tell("alerts.acknowledge")} ...${{ send, close, done }}><${Comment} first=${true} /><//>`;
}

export function SilenceForm({ alarm, now, zone, close, done }) {
  const send = (given) => silence({ rule: alarm.rule, key: given.get("scope") === "group" ? alarm.key : null, span: given.get("span"), comment: given.get("comment").trim() }, now(), zone);
  const oneOf = alarm.by !== "all";
  return html`<${Form} label=${tell("alerts.silence")} ...${{ send, close, done }}>
    <${Choice} name="span" label=${tell("alerts.span")} first=${true} options=${SPANS.map((span) => [span, tell(`alerts.spans.${span}`)])} />
    ${oneOf && html`<${Choice} name="scope" label=${tell("alerts.scope")} options=${[["group", tell("alerts.this_group", { group: groupName(alarm) })], ["rule", tell("alerts.whole_rule", { rule: alarm.rule })]]} />`}
    <${Comment} />
  <//>`;
}

/** Sends once, and stays with what was written where the server refuses. Escape closes it. */
function Form({ label, send, close, done, children }) {
  const place = useRef(null);
  const [sending, setSending] = useState(false);
  const [refused, setRefused] = useState("");
  useLayoutEffect(() => {
    place.current.querySelector("[data-first]").focus();
    place.current.scrollIntoView({ block: "nearest" });
  }, []);
  const submitted = async (event) => {
    event.preventDefault();
    if (sending) return;
    setSending(true);
    setRefused("");
    try {
      await send(new FormData(place.current));
      await done();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      setRefused(refusal(problem));
      setSending(false);
    }
  };
  const escaped = (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  };
  return html`<form class="order" ref=${place} aria-label=${label} onSubmit=${submitted} onKeyDown=${escaped}>
    ${children}
    <div class="ends">
      <button type="submit" class="main" aria-disabled=${sending ? "true" : "false"}>${sending ? tell("alerts.sending") : label}</button>
      <button type="button" onClick=${close}>${tell("alerts.cancel")}</button>
    </div>
    <p class="refused" role="alert">${refused}</p>
  </form>`;
}

function Comment({ first }) {
  return html`<label class="comment"><span>${tell("alerts.comment")}</span><input type="text" name="comment" maxlength=${LONGEST} autocomplete="off" data-first=${first} /></label>`;
}

function Choice({ name, label, options, first }) {
  return html`<fieldset class="spans"><legend>${label}</legend>
    ${options.map(([value, word], at) => html`<label key=${value}><input type="radio" name=${name} value=${value} defaultChecked=${at === 0} data-first=${first && at === 0} /><span>${word}</span></label>`)}
  </fieldset>`;
}
