// Here are the alerts at the top of the page: how many, which, and behind them those that are not or no more.
import { ordered, Told } from "../alerts.js";
import { html, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../html.js";
import { several, words } from "../language.js";
import { Shape } from "../shapes.js";
import { NO_PANEL } from "./address.js";
import { Alarm } from "./alarm.js";
import { ask } from "./answers.js";
import { useAnswer } from "./asked.js";
import { Download } from "./download.js";
import { Failure, Waiting } from "./failure.js";
import { Silences } from "./silences.js";
import { tell, whole } from "./words.js";

const FIRST = 3; // shown before all are asked for
const RUNGS = 4; // so many times alerts are asked for, and once the rules
const PATH = "/api/v1/alerts";

/** `shared`: `{ stream, now, zone, named, known, linked, told }` of the page. */
export function Alerts({ shared }) {
  const { stream } = shared;
  const [orders, setOrders] = useState(0);
  const { answer, problem } = useAnswer(`alerts ${orders}`, (signal) => ask(PATH, {}, signal), stream.rung);
  const kept = useRef(null); // while it is asked again
  if (answer) kept.current = answer;
  const all = kept.current;
  const rules = useRules(stream);
  const again = useCallback(() => setOrders((times) => times + 1), []);
  if (problem && !all) return html`<section class="alerts"><${Failure} problem=${problem} /></section>`;
  if (!all) return null;
  return html`<${List} ...${{ all, problem, rules, orders, again, shared }} />`;
}

// The rules there are. They hardly change, so that they are asked for less often, once they are known.
function useRules(stream) {
  const settled = useRef(false);
  const { answer, problem } = useAnswer("rules", (signal) => ask(`${PATH}/rules`, {}, signal), settled.current ? Math.floor(stream.rung / RUNGS) : stream.news);
  const judged = !problem?.message.startsWith("nobody judges");
  settled.current = answer !== null || !judged;
  return { all: answer ?? [], judged, learning: learning(answer ?? []) };
}

// Whether of nothing it is known what is usual: then only targets can be missed.
function learning(rules) {
  const wanting = rules.filter((rule) => rule.known !== null);
  return wanting.length > 0 && wanting.every((rule) => rule.known === 0);
}

function List({ all, problem, rules, orders, again, shared }) {
  const [open, setOpen] = useState(true);
  const [listed, setListed] = useState(false);
  const alarms = useMemo(() => ordered(all), [all]);
  const place = useRef(null);
  useFocusKept(place, all);
  const shown = listed ? alarms : alarms.slice(0, FIRST);
  return html`<section class=${`alerts is-${worst(alarms)}${alarms.length ? "" : " calm"}`} aria-labelledby="alerts-name" ref=${place}>
    <${Told} alerts=${all} />
    <header>
      <h2 id="alerts-name" tabindex="-1"><${Shape} state=${worst(alarms)} /> ${alarms.length ? several(words.supervisor.alerts.count, alarms.length, whole(alarms.length)) : tell("alerts.none")}</h2>
      <p class="counts">${counts(alarms)}</p>
      ${alarms.length > 0 && html`<${Download} path=${PATH} asked=${{}} what=${tell("alerts.list")} />`}
      ${(rules.learning || !rules.judged) && html`<p class="learning">${tell(rules.judged ? "alerts.only_targets" : "alerts.not_judged")}</p>`}
      ${alarms.length > 0 && html`<button type="button" class="fold" aria-label=${tell("alerts.list")} aria-expanded=${open ? "true" : "false"} aria-controls="alerts-list" onClick=${() => setOpen(!open)}><svg viewBox="0 0 24 24" aria-hidden="true"><path d=${open ? "M4 15.5l8-8 8 8" : "M4 8.5l8 8 8-8"} /></svg></button>`}
    </header>
    ${problem && html`<${Failure} problem=${problem} />`}
    ${open && alarms.length > 0 && html`<div id="alerts-list" class=${`alarms${listed ? " whole" : ""}`} role="region" tabindex=${listed ? 0 : undefined} aria-label=${tell("alerts.list")}>
      <ul>${shown.map((alarm) => html`<${Alarm} key=${alarm.id} ...${{ alarm, again, shared }} />`)}</ul>
    </div>`}
    ${open && alarms.length > FIRST && html`<button type="button" class="all" aria-expanded=${listed ? "true" : "false"} aria-controls="alerts-list" onClick=${() => setListed(!listed)}>${listed ? tell("alerts.fewer") : tell("alerts.all", { n: whole(alarms.length) })}</button>`}
    <${Earlier} ...${{ rules, orders, again, shared }} />
  </section>`;
}

function worst(alarms) {
  if (!alarms.length) return "over";
  return alarms.some((alarm) => alarm.severity === "critical") ? "critical" : "warning";
}

function counts(alarms) {
  const of = (name, wanted) => {
    const n = alarms.filter(wanted).length;
    return n ? several(words.supervisor.alerts[name], n, whole(n)) : "";
  };
  return [of("critical", (alarm) => alarm.severity === "critical"), of("unseen", (alarm) => alarm.rule && !alarm.acknowledged)].filter(Boolean).join(" · ");
}

// What had the focus may have moved in the list, or be gone with its alert: then the heading has it, so that
// nobody falls out of the page.
function useFocusKept(place, all) {
  const last = useRef(null);
  useEffect(() => {
    const moved = (event) => (last.current = place.current?.contains(event.target) ? event.target : null);
    addEventListener("focusin", moved);
    return () => removeEventListener("focusin", moved);
  }, []);
  useLayoutEffect(() => {
    if (!last.current || document.activeElement !== document.body) return;
    (last.current.isConnected ? last.current : place.current.querySelector("h2")).focus();
  }, [all]);
}

// What is pending, what is over since a day at most, and what is silent: asked for when it is opened.
function Earlier({ rules, orders, again, shared }) {
  const [open, setOpen] = useState(false);
  return html`<details class="earlier" onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>${tell("alerts.earlier")}</summary>
    ${open && html`<${Others} ...${{ rules, orders, again, shared }} />`}
  </details>`;
}

function Others({ rules, orders, again, shared }) {
  const { answer, problem } = useAnswer(`others ${orders}`, (signal) => ask(PATH, { phase: "pending,resolved" }, signal), shared.stream.rung);
  const kept = useRef(null);
  if (answer) kept.current = answer;
  if (problem) return html`<${Failure} problem=${problem} />`;
  if (!kept.current) return html`<${Waiting} />`;
  return html`<div class="alarms whole" tabindex="0" role="region" aria-label=${tell("alerts.earlier")}>
    ${kept.current.length ? html`<ul>${kept.current.map((alarm) => html`<${Alarm} key=${alarm.id} ...${{ alarm, again, shared }} />`)}</ul>` : html`<p class="none">${tell("alerts.no_earlier")}</p>`}
    <${Silences} ...${{ orders, again, shared }} />
    ${rules.all.length > 0 && html`<h3>${tell("alerts.rules")}</h3><ul class="rules">${rules.all.map((rule) => html`<li key=${rule.name}><a data-opener=${`rule ${rule.name}`} ...${shared.linked({ ...NO_PANEL, agent: "", alert: rule.name, group: rule.key })}>${rule.name}</a></li>`)}</ul>`}
  </div>`;
}
