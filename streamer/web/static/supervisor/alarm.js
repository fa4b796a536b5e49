// Here is one alert: what it is, what it rests on, what moved it, who knows of it, and what may be done.
import { called, dated, sinceWords } from "../alerts.js";
import { html, useLayoutEffect, useRef, useState } from "../html.js";
import { say, words } from "../language.js";
import { aim, interval, sample, written } from "../numbers.js";
import { Shape } from "../shapes.js";
import { ALL, NO_PANEL, NOW, OTHER_GROUPING, read } from "./address.js";
import { Problem } from "./answers.js";
import { inPoints } from "./figure.js";
import { AcknowledgeForm, SilenceForm } from "./order_forms.js";
import { endSilence, refusal, takeBack } from "./orders.js";
import { grouping, tell } from "./words.js";

export function Alarm({ alarm, again, shared }) {
  const { now, zone, named, known } = shared;
  const [text, tongue] = called(alarm);
  const name = `alarm-${alarm.id}`;
  const state = alarm.phase === "resolved" ? "over" : alarm.phase === "pending" ? "pending" : alarm.severity;
  return html`<li class=${`alarm is-${state}${alarm.acknowledged || alarm.silenced ? " quiet" : ""}`} data-alert=${alarm.id}>
    <div class="said">
      <h3 id=${name}><span class="severity"><${Shape} state=${state} />${say(`watch.${alarm.severity}`)}</span> <span lang=${tongue}>${text}</span></h3>
      <p class="when">${[alarm.phase !== "firing" && html`<b>${phase(alarm, now(), zone)}</b>`, html`<time>${sinceWords(alarm.since, now(), zone)}</time>`].filter(Boolean).map((part, at) => [at ? " · " : "", part])}</p>
      <${Rests} alarm=${alarm} entry=${known.get(alarm.metric)} />
      <${Moved} alarm=${alarm} entry=${known.get(alarm.metric)} named=${named} />
      <${Known} alarm=${alarm} now=${now()} zone=${zone} />
    </div>
    ${alarm.rule && html`<${Acts} ...${{ alarm, again, shared, name }} />`}
  </li>`;
}

function phase({ phase: which, resolved_at: at, why }, now, zone) {
  return which === "resolved" ? tell(`alerts.over.${why}`, { time: dated(at, now, zone) }) : tell(`alerts.phases.${which}`);
}

// Score, interval, sample, and what it is measured by. Of what is not a score, the server's sentence.
function Rests({ alarm, entry }) {
  const { figures, metric, what, kind } = alarm;
  if (!alarm.what || what === "odd") return alarm.what && html`<p class="rests" lang="en">${alarm.text}</p>`;
  if (!figures) return null;
  if (what === "silent") return figures.usual !== null && html`<p class="rests">${tell("alerts.none_came", { value: written(figures.usual, "count") })}</p>`;
  if (what === "unserved") return html`<p class="rests">${tell("alerts.unserved", { waiting: written(figures.waiting, "count"), n: written(figures.signed_in, "count") })}</p>`;
  const [lower, upper] = alarm.interval ?? [figures.lower, figures.upper];
  const of = { ...entry, ...figures, metric, lower, upper, unit: alarm.unit, better: alarm.better };
  const usual = figures.usual !== null && tell("alerts.usual", { value: written(figures.usual, alarm.unit, of.currency) });
  const parts = [figures.support ? sample(of) : "", kind === "threshold" || kind === "limit" ? aim({ ...of, target: figures.target }) : usual];
  return html`<p class="rests"><b>${written(figures.value, alarm.unit, of.currency)}</b> ${[interval(of), ...parts].filter(Boolean).join(" · ")}</p><${Current} alarm=${alarm} />`;
}

// What it is by now, in the words of the wall.
function Current({ alarm: { current, metric, unit, better, phase } }) {
  if (!current || current.value === null || phase === "resolved") return null;
  const of = { ...current, metric, unit, better };
  return html`<p class="rests current is-${current.state}">${say("watch.current")}: <b>${written(current.value, unit, current.currency)}</b> ${[interval(of), sample(of)].filter(Boolean).join(" · ")} <span class="verdict"><${Shape} state=${current.state} /> ${say(`states.${current.state}`)}</span></p>`;
}

function Moved({ alarm: { contributors, unit }, entry, named }) {
  if (!contributors.length) return null;
  const metric = { unit, currency: entry?.currency };
  return html`<div class="moved"><span>${tell("alerts.moved")}</span> <ol>${contributors.map((part) => html`<li key=${`${part.dimension} ${part.key}`}>
    ${tell("alerts.part", { dimension: single(part.dimension), name: part.name || named(part.dimension, part.key) })} <b>${part.moved > 0 ? "+" : ""}${inPoints(part.moved, metric)}</b>${" "}
    <span class="alone">${tell(part.value === null ? "alerts.part_of" : "alerts.part_alone", { value: written(part.value, unit, metric.currency), n: tell("n", { n: part.support }) })}</span></li>`)}</ol></div>`;
}

function single(dimension) {
  return words.supervisor.groups[dimension]?.single ?? grouping(dimension);
}

/** Who did it, "" where nobody is set: the server says so in English. */
export function whose(by) {
  return by === "somebody at this machine" ? "" : by;
}

function Known({ alarm: { acknowledged: seen, silenced }, now, zone }) {
  if (!seen && !silenced) return null;
  return html`<ul class="known">
    ${seen && html`<li><${Shape} state="seen" /> ${tell(whose(seen.by) ? "alerts.seen_by" : "alerts.seen_at", { name: seen.by, time: dated(seen.at, now, zone) })}${seen.comment && html` <q>${seen.comment}</q>`}</li>`}
    ${silenced && html`<li><${Shape} state="silenced" /> ${tell(whose(silenced.by) ? "alerts.silenced_by" : "alerts.silenced", { name: silenced.by, time: dated(silenced.until, now, zone) })}${silenced.comment && html` <q>${silenced.comment}</q>`}</li>`}
  </ul>`;
}

// What may be done. The form of a button stands below it, and gives the focus back to it.
function Acts({ alarm, again, shared, name }) {
  const [form, setForm] = useState("");
  const { refused, sending, send } = useOrder(again);
  const back = useRef(null);
  const buttons = { acknowledge: useRef(null), silence: useRef(null) };
  useLayoutEffect(() => {
    if (form || !back.current) return;
    buttons[back.current].current?.focus();
    back.current = null;
  }, [form]);
  const close = () => {
    back.current = form;
    setForm("");
  };
  const done = () => {
    close();
    again();
  };
  const { told, linked } = shared;
  const contacts = alarm.links.contacts && read(new URL(alarm.links.contacts, location.href).search);
  const over = alarm.phase === "resolved";
  const opener = (what) => ({ "aria-describedby": name, "data-opener": `${what} ${alarm.id}` });
  const toggle = (which) => ({ "aria-expanded": form === which ? "true" : "false", onClick: () => (form === which ? close() : setForm(which)), ref: buttons[which], "aria-describedby": name });
  return html`<div class="acts">
    ${!over && (alarm.acknowledged
      ? html`<button type="button" ref=${buttons.acknowledge} aria-describedby=${name} aria-disabled=${sending ? "true" : "false"} onClick=${() => send(() => takeBack(alarm.id))}>${tell("alerts.take_back")}</button>`
      : html`<button type="button" ...${toggle("acknowledge")}>${tell("alerts.acknowledge")}</button>`)}
    ${!over && (alarm.silenced
      ? html`<button type="button" ref=${buttons.silence} aria-describedby=${name} aria-disabled=${sending ? "true" : "false"} onClick=${() => send(() => endSilence(alarm.silenced.id))}>${tell("alerts.end_silence")}</button>`
      : html`<button type="button" ...${toggle("silence")}>${tell("alerts.silence")}</button>`)}
    ${contacts && html`<a class="button" ...${opener("contacts")} ...${linked({ ...NO_PANEL, agent: "", ...picked(contacts, told) })}>${tell("alerts.contacts")}</a>`}
    <a class="button" ...${opener("why")} ...${linked({ ...NO_PANEL, agent: "", alert: alarm.rule, group: alarm.key ?? "", at: over ? new Date(alarm.fired_at).toISOString() : "" })}>${tell("alerts.why")}</a>
  </div>
  ${refused && html`<p class="refused" role="alert">${refused}</p>`}
  ${form === "acknowledge" && html`<${AcknowledgeForm} ...${{ alarm, close, done }} />`}
  ${form === "silence" && html`<${SilenceForm} ...${{ alarm, close, done, now: shared.now, zone: shared.zone }} />`}`;
}

// The page opened on these contacts. Another grouping shows other columns and rows.
function picked({ by, window, metric, key, order, queue, team }, told) {
  if (by === NOW) return { ...OTHER_GROUPING, by, queue, team };
  const moved = by === told.by || key === ALL ? {} : { ...OTHER_GROUPING, by };
  return { ...moved, window, metric, key, order, compare: told.compare === window ? "" : told.compare };
}

/** Sends what needs no form, once at a time. */
export function useOrder(again) {
  const [sending, setSending] = useState(false);
  const [refused, setRefused] = useState("");
  const send = async (order) => {
    if (sending) return;
    setSending(true);
    setRefused("");
    try {
      await order();
      again();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      setRefused(refusal(problem));
    }
    setSending(false);
  };
  return { sending, refused, send };
}
