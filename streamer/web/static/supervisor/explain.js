// Here is why a rule fires or does not: the verdict in a sentence, the figures, and the evidence over time.
import { dated } from "../alerts.js";
import { html, useEffect, useRef } from "../html.js";
import { groupName, language, metricName, say } from "../language.js";
import { interval, written } from "../numbers.js";
import { Shape } from "../shapes.js";
import { NO_PANEL } from "./address.js";
import { ask } from "./answers.js";
import { useAnswer } from "./asked.js";
import { Evidence } from "./evidence.js";
import { Facts } from "./facts.js";
import { Failure, Waiting } from "./failure.js";
import { asked, local, moment } from "./moments.js";
import { tell } from "./words.js";

const TYPED_MS = 600;
const EVERY_MS = 10_000; // judging takes long: asked again no more often
export const SHAPES = { fires: "missed", holds: "met", unclear: "unclear", few: "few", no_data: "no_data", no_baseline: "few", closed: "over" };

/** `told`: `{ alert, group, at }` of the address; `close` ends it. */
export function Explain({ told: { alert, group, at }, go, close, shared }) {
  const { stream, zone, now, linked } = shared;
  const heading = useRef(null);
  const identity = JSON.stringify([alert, group]);
  useEffect(() => heading.current.focus(), [identity]);
  const several = useRef(false); // groups: judging them all takes long, and is done once
  const moments = at || several.current ? 0 : Math.floor(now() / EVERY_MS) * Math.min(1, stream.news);
  const { answer, problem } = useAnswer(JSON.stringify([alert, group, at]), (signal) => ask("/api/v1/alerts/explain", { name: alert, key: group, at }, signal), moments);
  const rules = useAnswer("rules", (signal) => ask("/api/v1/alerts/rules", {}, signal));
  const rule = rules.answer?.find((one) => one.name === alert);
  several.current = answer?.length > 1;
  const found = answer?.length === 1 || group ? answer?.[0] : answer?.find((one) => one.key === group);
  const escaped = (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  };
  return html`<aside class="panel explain" aria-labelledby="explain-name" onKeyDown=${escaped}>
    <header class="title">
      <div>
        <h2 id="explain-name" tabindex="-1" ref=${heading}>${tell("explain.title")} <span class="group">${title(found, alert, group)}</span></h2>
        <p>${tell("explain.rule", { name: alert })}${found && html` · ${at ? tell("explain.past", { time: dated(found.at, now(), zone) }) : tell("explain.now")}`}</p>
      </div>
      <button type="button" class="close" onClick=${close} aria-label=${tell("close")}><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M5 5l14 14M19 5L5 19" /></svg></button>
    </header>
    <${Moment} ...${{ at, now, zone, change: (other) => go({ at: other }, { replace: true }) }} />
    ${problem && html`<${Unanswered} problem=${problem} />`}
    ${!answer && !problem && html`<${Waiting} />`}
    ${answer && !found && (answer.length ? html`<${Groups} ...${{ answer, linked, alert, at }} />` : html`<p class="none">${tell("explain.nothing")}</p>`)}
    ${found && html`<${One} ...${{ found, rule, shared }} />`}
  </aside>`;
}

function title(found, alert, group) {
  if (!found) return group || alert;
  return `${metricName(found.metric)} · ${found.by === "all" ? say("watch.whole") : groupName(found)}`;
}

function Unanswered({ problem }) {
  if (problem.status === 403 || problem.status === 404 || problem.message.startsWith("name")) return html`<p class="failure" role="alert">${tell("explain.unknown_rule")}</p>`;
  if (problem.message.startsWith("at ")) return html`<p class="failure" role="alert">${tell("explain.future")}</p>`;
  return html`<${Failure} problem=${problem} />`;
}

/** As of when: a moment where the site is, or now. What is typed counts once typing has stopped. */
function Moment({ at, now, zone, change }) {
  const place = useRef(null);
  const typing = useRef(null);
  useEffect(() => {
    if (document.activeElement !== place.current) place.current.value = local(asked(at) ?? now(), zone);
  }, [at, zone]);
  useEffect(() => () => clearTimeout(typing.current), []);
  const typed = (event) => {
    const ms = moment(event.currentTarget.value, zone);
    clearTimeout(typing.current);
    if (!Number.isNaN(ms)) typing.current = setTimeout(() => change(new Date(ms).toISOString().replace(".000Z", "Z")), TYPED_MS);
  };
  return html`<div class="moment">
    <label><span>${tell("explain.at")}</span><input type="datetime-local" ref=${place} min="2000-01-01T00:00" max=${local(now(), zone)} onInput=${typed} /></label>
    <button type="button" aria-pressed=${at ? "false" : "true"} onClick=${() => change("")}>${tell("explain.now")}</button>
  </div>`;
}

const WORST = ["fires", "unclear", "holds"];

function Groups({ answer, linked, alert, at }) {
  const rank = (one) => (WORST.includes(one.state) ? WORST.indexOf(one.state) : WORST.length);
  const sorted = [...answer].sort((one, other) => rank(one) - rank(other));
  return html`<section><header><h3>${tell("explain.which")}</h3></header>
    <ul class="which">${sorted.map((one) => html`<li key=${one.key}><a ...${linked({ ...NO_PANEL, alert, group: one.key, at })}>${groupName({ by: one.by, key: one.key, group: one.group })}</a> <span><${Shape} state=${SHAPES[one.state]} /> ${tell(`explain.states.${one.state}`)}</span></li>`)}</ul>
  </section>`;
}

function One({ found, rule, shared }) {
  const { now, zone, known } = shared;
  const metric = { ...known.get(found.metric), unit: found.unit, better: found.better };
  return html`
    <div class=${`judged is-${found.state}`}>
      <p class="verdict"><${Shape} state=${SHAPES[found.state]} /> <b>${tell(`explain.states.${found.state}`)}</b></p>
      <p class="sentence">${sentence(found, metric, now(), zone)}</p>
    </div>
    <${Evidence} found=${found} metric=${metric} zone=${zone} now=${now()} />
    <${Facts} found=${found} rule=${rule} metric=${metric} zone=${zone} now=${now()} />
    <details class="own-words" open=${language === "en"}>
      <summary>${tell("explain.own_words")}</summary>
      ${language !== "en" && html`<p class="note">${tell("explain.own_words_note")}</p>`}
      <div lang="en"><p>${found.reason}</p>${found.needed && html`<p>${found.needed}</p>`}
        <dl class="terms">${found.terms.map(({ name, words }) => html`<div key=${name}><dt><code>${name}</code></dt><dd>${words}</dd></div>`)}</dl></div>
    </details>`;
}

// The words for the kind and the state; where there are none, the server's.
function sentence({ kind, state, figures, reason }, metric, now, zone) {
  const forms = state === "no_data" || state === "closed" ? `explain.${state}` : `explain.kinds.${kind}.${state}`;
  const said = (value) => written(value, metric.unit, metric.currency);
  const counts = written(figures.usual, "count");
  const of = kind === "unattended" && !figures.signed_in && state === "fires" ? `${forms}_alone` : forms;
  const filled = tell(of, {
    waiting: written(figures.waiting ?? null, "count"), signed_in: written(figures.signed_in ?? null, "count"),
    value: said(figures.value), interval: interval({ ...metric, ...figures }), target: said(figures.target),
    usual: kind === "no_data" ? counts : said(figures.usual), since: figures.since === null ? "" : dated(figures.since, now, zone),
    n: kind === "threshold" ? figures.support : (figures.learned_of ?? 0), least: figures.least,
  });
  const isOurs = !filled.startsWith("supervisor.") && !(kind === "no_data" && state === "fires" && figures.since === null);
  return isOurs ? filled : html`<span lang="en">${reason}</span>`;
}
