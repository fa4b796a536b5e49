// Here is the supervisor's page: every group in one table, and from any number to the contacts behind it.
import "./theme.js";
import { html, render, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./html.js";
import { locale, metricName, say } from "./language.js";
import { aim, ageWords } from "./numbers.js";
import { Shape } from "./shapes.js";
import { AgentPage } from "./supervisor/agent.js";
import { ask } from "./supervisor/answers.js";
import { ALL, HISTORY, NO_PANEL, NOW, OTHER_GROUPING, read, WEEK_BEFORE, write } from "./supervisor/address.js";
import { Alerts } from "./supervisor/alerts.js";
import { useAnswer } from "./supervisor/asked.js";
import { usualOrder } from "./supervisor/contacts.js";
import { Download } from "./supervisor/download.js";
import { Explain } from "./supervisor/explain.js";
import { Failure, Waiting } from "./supervisor/failure.js";
import { className, Difference, differs, Figure } from "./supervisor/figure.js";
import { Grid } from "./supervisor/grid.js";
import { targetOf } from "./supervisor/judgement.js";
import { HistoryPage, useHistory } from "./supervisor/history.js";
import { isLive, useAge, useStream } from "./supervisor/live.js";
import { NowPage, useNow } from "./supervisor/now.js";
import { Panel } from "./supervisor/panel.js";
import { arranged, figure, sheet } from "./supervisor/sheet.js";
import { Columns, Compared, Filter, Groupings, Window } from "./supervisor/toolbar.js";
import { groupings, usualMetrics } from "./supervisor/usual.js";
import { grouping, naming, rowCount, tell } from "./supervisor/words.js";

const collator = new Intl.Collator(locale, { numeric: true, sensitivity: "base" });

function Supervisor() {
  const [told, go] = useAddress();
  const stream = useStream();
  const zone = stream.zone;
  const catalog = useAnswer("catalog", (signal) => ask("/api/v1/catalog", {}, signal));
  const names = useAnswer("names", (signal) => ask("/api/v1/names", {}, signal));
  const me = useAnswer("me", (signal) => ask("/api/v1/me", {}, signal));
  const named = useMemo(() => naming(names.answer), [names.answer]);
  const known = useMemo(() => new Map(catalog.answer?.map((entry) => [entry.metric, { target: null, ...entry }])), [catalog.answer]);

  const linked = useCallback((change) => link(told, change, go), [told, go]);
  const now = useCallback(() => Date.now() + stream.ahead_ms, [stream.ahead_ms]);
  const shared = { told, go, stream, zone, known, named, linked, now };
  if (catalog.problem && !catalog.answer) return html`<${Head} ...${shared} me=${me.answer} age=${null} /><main id="main"><${Failure} problem=${catalog.problem} /></main>`;
  if (!catalog.answer || !(names.answer || names.problem)) return html`<main id="main"><${Waiting} /></main>`;
  const Shown = told.agent ? Agent : told.by === NOW ? Now : told.by === HISTORY ? History : Table;
  return html`<${Shown} ...${shared} me=${me.answer} />`;
}

// What is shown is in the address, and in it alone.
function useAddress() {
  const [told, setTold] = useState(() => read(location.search));
  useEffect(() => {
    const moved = () => setTold(read(location.search));
    addEventListener("popstate", moved);
    return () => removeEventListener("popstate", moved);
  }, []);
  const go = useCallback((change, { replace = false } = {}) => {
    const next = { ...read(location.search), ...change };
    history[replace ? "replaceState" : "pushState"](null, "", write(next));
    setTold(read(location.search));
  }, []);
  return [told, go];
}

let opener = null; // what a panel was opened with, if not with a cell

// A link that a click follows without loading the page, and any other way like any link.
function link(told, change, go) {
  const onClick = (event) => {
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    opener = event.currentTarget.dataset.opener ?? null;
    go(change);
  };
  return { href: write({ ...told, ...change }), onClick };
}

// The table.

function Table({ me, ...shared }) {
  const { told, go, stream, zone, known, named, linked } = shared;
  const { by, window, compare } = told;
  const readable = useMemo(() => [...known.values()].filter((entry) => entry.by.includes(by)), [known, by]);
  const chosen = useMemo(() => (told.metrics ?? usualMetrics(by)).filter((metric) => readable.some((entry) => entry.metric === metric)), [told.metrics, by, readable]);
  const served = useMemo(() => chosen.filter((metric) => known.get(metric).windows.includes(window)), [chosen, window]);
  const asked = { metric: served.join(","), window, by, compare };
  const { answer, problem, at } = useAnswer(served.length ? JSON.stringify(asked) : null, (signal) => figures(asked, signal), stream.news);
  const age = useAge(answer?.data_age_s, at);
  const close = useClose(go);
  const picked = told.metric && known.get(told.metric)?.by.includes(told.key === ALL ? "all" : by) ? told : null;
  const why = told.alert && !picked;
  const of = picked && (picked.key === ALL ? { metric: picked.metric, window, by: "all", key: "" } : { metric: picked.metric, window, by, key: picked.key });
  useTitle(`${grouping(by)} – ${tell("supervisor")}`);
  return html`
    <${Head} ...${{ me, stream, age, problem: answer ? null : problem, linked }} />
    <div class=${`body${of || why ? " with-panel" : ""}`}>
      <main id="main" class=${isLive(age) || !answer ? "" : "old"}>
        <h1 class="unseen">${grouping(by)}</h1>
        <${Alerts} shared=${shared} />
        <${Tabs} known=${known} by=${by} linked=${linked} />
        <${Rows} ...${{ told, go, known, named, linked, readable, chosen, served, answer, problem, picked, close }} />
      </main>
      ${of && html`<${Panel} ...${{ of, entry: known.get(of.metric), zone, named, news: stream.news, close,
        unknown: of.key !== "" && answer !== null && !answer.sheet.keys.includes(of.key),
        order: told.order || usualOrder(of.metric), reorder: (order) => go({ order }, { replace: true }),
        linked: (agent) => linked({ ...NO_PANEL, agent }), page: by === "agent" && of.key ? linked({ ...NO_PANEL, agent: of.key, metric: of.metric }) : null }} />`}
      ${why && html`<${Explain} ...${{ told, go, close, shared }} />`}
    </div>`;
}

function Tabs({ known, by, linked }) {
  return html`<${Groupings} all=${[NOW, ...groupings([...known.values()]), HISTORY]} by=${by} linked=${(other) => linked({ ...OTHER_GROUPING, by: other })} />`;
}

// What is going on now.

function Now({ me, ...shared }) {
  const { told, go, stream, known, named, linked, now } = shared;
  const { answer, problem, at } = useNow(told, stream);
  const age = useAge(answer?.data_age_s, at);
  const close = useClose(go);
  const why = told.alert !== "";
  useTitle(`${tell("now.title")} – ${tell("supervisor")}`);
  return html`
    <${Head} ...${{ me, stream, age, problem: answer ? null : problem, linked }} />
    <div class=${`body${why ? " with-panel" : ""}`}>
      <main id="main" class=${isLive(age) || !answer ? "" : "old"}>
        <h1 class="unseen">${tell("now.title")}</h1>
        <${Alerts} shared=${shared} />
        <${Tabs} known=${known} by=${NOW} linked=${linked} />
        <${NowPage} ...${{ answer, problem, at, told, go, named, linked, stream, now }} />
      </main>
      ${why && html`<${Explain} ...${{ told, go, close, shared }} />`}
    </div>`;
}

// What was, by intervals of the calendar.

function History({ me, ...shared }) {
  const { told, go, stream, zone, known, named, linked, now } = shared;
  const found = useHistory(told, known, now, zone);
  const beat = useAnswer("age", (signal) => ask("/api/v1/readings", { metric: "contacts" }, signal), stream.news);
  const age = useAge(beat.answer?.[0]?.data_age_s, beat.at);
  useTitle(`${tell("history.title")} – ${tell("supervisor")}`);
  return html`
    <${Head} ...${{ me, stream, age, problem: found.problem, linked }} />
    <div class="body"><main id="main">
      <h1 class="unseen">${tell("history.title")}</h1>
      <${Tabs} known=${known} by=${HISTORY} linked=${linked} />
      <${HistoryPage} ...${{ found, told, go, known, named, zone, now }} />
    </main></div>`;
}

// Closing the panel gives the focus back to what it was opened with: a cell, or a link of an alert.
function useClose(go) {
  return useCallback(() => {
    go(NO_PANEL);
    const from = opener;
    requestAnimationFrame(() => {
      const link = from && document.querySelector(`[data-opener="${CSS.escape(from)}"]`);
      (link || document.querySelector(".scroller [tabindex='0']"))?.focus();
    });
  }, [go]);
}

function useTitle(title) {
  useLayoutEffect(() => void (document.title = title), [title]);
}

async function figures({ metric, window, by, compare }, signal) {
  const columns = (others) => ask("/api/v1/readings", { metric, window, by, form: "columns", ...others }, signal);
  const second = compare === "" ? null : compare === "week_before" ? { week_before: true } : { window: compare };
  const [first, all, firstOfAll, secondOfAll] = await Promise.all([
    columns({}), second && columns(second), columns({ by: "all" }), second && columns({ by: "all", ...second }),
  ]);
  return { sheet: sheet(first, all), total: sheet(firstOfAll, secondOfAll), data_age_s: (first[0] ?? firstOfAll[0])?.data_age_s ?? null };
}

function Rows({ told, go, known, named, linked, readable, chosen, served, answer, problem, picked, close }) {
  const { by, window, compare, sort } = told;
  const [text, setText] = useText(told.q, go);
  const rows = useOrder(answer, told, text, (key) => named(by, key), known);
  const columns = useMemo(() => columnsOf(served, compare), [served, compare]);
  const places = useMemo(() => new Map(answer?.sheet.keys.map((key, at) => [key, at])), [answer]);
  const count = answer ? rowCount(by, rows.length) : "";

  const sorted = (column) => {
    const same = sort.column === column.metric && sort.part === column.part;
    go({ sort: { column: column.metric, part: column.part, down: same ? !sort.down : column.metric !== "key" } }, { replace: true });
  };
  const opened = (row, column) => {
    opener = null;
    if (column.metric !== "key") return go({ ...NO_PANEL, metric: column.metric, key: row });
    if (by === "agent" && row !== ALL && row !== "unknown") return go({ ...NO_PANEL, agent: row });
    return served.length && go({ ...NO_PANEL, metric: served[0], key: row });
  };
  const cell = useCallback((row, column) => cellOf({ row, column, answer, places, known, named, by, linked }), [answer, places, known, named, by, linked]);

  return html`
    <div class="toolbar" role="search" aria-label=${tell("choose")}>
      <${Filter} text=${text} change=${setText} count=${count} />
      <${Window} window=${window} change=${(other) => go({ window: other, compare: compare === other ? "" : compare })} />
      <${Compared} window=${window} compare=${compare} change=${(other) => go({ compare: other })} />
      <${Columns} all=${readable} chosen=${chosen} window=${window} usual=${told.metrics === null} change=${(metrics) => go({ metrics }, { replace: true })} />
      ${served.length > 0 && html`<${Download} path="/api/v1/readings" asked=${{ metric: served.join(","), window: [window, compare].filter((one) => one && one !== WEEK_BEFORE).join(","), by, match: text, form: "columns" }} what=${grouping(by)} />`}
    </div>
    <${LeftOut} asked=${told.metrics ?? chosen} chosen=${chosen} served=${served} />
    ${problem && html`<${Failure} problem=${problem} />`}
    ${!served.length ? html`<p class="none">${tell("no_columns")}</p>`
      : answer ? html`<${Grid} label=${tell("table", { what: grouping(by), window: say(`windows.${window}`) })} columns=${columns} rows=${[ALL, ...rows]} pinned=${true}
        head=${(column) => headOf(column, known, window, compare, by)} cell=${cell} sorted=${{ id: sort.column === "key" ? "key" : `${sort.column} ${sort.part}`, down: sort.down }}
        sort=${sorted} open=${opened} chosen=${picked && { row: picked.key, column: `${picked.metric} first` }} />`
      : !problem && html`<${Waiting} />`}
    ${answer && !rows.length && html`<p class="none">${text ? tell("none_match", { text }) : tell("no_rows")}</p>`}
    <${Legend} />`;
}

// The columns that were asked for and cannot be had, so that none vanishes without a word.
function LeftOut({ asked, chosen, served }) {
  const said = (key, metrics) => metrics.length > 0 && html`<p class="none">${tell(key, { metrics: metrics.map(metricName).join(", ") })}</p>`;
  return html`<div role="status">
    ${said("left_out.by", asked.filter((metric) => !chosen.includes(metric)))}
    ${said("left_out.window", chosen.filter((metric) => !served.includes(metric)))}
  </div>`;
}

// What is typed is shown at once, and in the address once typing has stopped.
function useText(q, go) {
  const [text, setText] = useState(q);
  const typed = useRef(q);
  useEffect(() => {
    if (q !== typed.current) setText((typed.current = q));
  }, [q]);
  useEffect(() => {
    if (text === q) return undefined;
    const timer = setTimeout(() => {
      typed.current = text;
      go({ q: text }, { replace: true });
    }, 250);
    return () => clearTimeout(timer);
  }, [text]);
  return [text, setText];
}

// The rows' order. News does not move rows away under the pointer or the focus: the order stays then.
function useOrder(answer, { by, sort }, text, name, known) {
  const kept = useRef({ wish: null, keys: [] });
  return useMemo(() => {
    if (!answer) return [];
    const wish = JSON.stringify([by, sort, text, answer.sheet.keys.length]);
    const held = kept.current.wish === wish && document.querySelector(".scroller:hover, .scroller:focus-within");
    if (!held) {
      const keys = answer.sheet.keys;
      kept.current = { wish, keys: arranged(answer.sheet, sort, known.get(sort.column), text, name, collator).map((at) => keys[at]) };
    }
    return kept.current.keys;
  }, [answer, sort.column, sort.part, sort.down, text, by]);
}

function columnsOf(metrics, compare) {
  const parts = compare ? ["first", "second", "difference"] : ["first"];
  const each = metrics.flatMap((metric) => parts.map((part) => ({
    id: `${metric} ${part}`, metric, part,
    group: compare ? metricName(metric) : "", span: compare ? (part === "first" ? parts.length : 0) : 0,
  })));
  return [{ id: "key", metric: "key", part: "first", group: "", span: 0 }, ...each];
}

function headOf({ metric, part }, known, window, compare, by) {
  if (metric === "key") return html`<span class="title">${grouping(by)}</span>`;
  const second = compare === WEEK_BEFORE ? tell("week_before") : say(`windows.${compare}`);
  const title = compare ? { first: say(`windows.${window}`), second, difference: tell("difference") }[part] : metricName(metric);
  const entry = known.get(metric);
  return html`<span class="title">${title}</span><span class="unseen"> ${compare && metricName(metric)}</span>${part === "first" && html`<span class="aim">${aim({ ...entry, target: entry.target })}</span>`}`;
}

function cellOf({ row, column: { metric, part }, answer, places, known, named, by, linked }) {
  if (metric === "key") return { className: "name", content: rowName(row, named, by, linked) };
  const entry = known.get(metric);
  const all = row === ALL;
  const column = (all ? answer.total : answer.sheet).columns.get(metric);
  const at = all ? 0 : places.get(row);
  const [first, second] = at === undefined || !column ? [null, null] : [figure(column.first, at), figure(column.second, at)];
  const target = all ? entry.target : targetOf(entry, by, row);
  if (part === "difference") return { className: differs(first, second, entry), content: html`<${Difference} first=${first} second=${second} metric=${entry} />` };
  const shown = (part === "first" ? first : second) ?? { value: null, lower: null, upper: null, support: 0 };
  return { className: className(shown, entry, target), content: html`<${Figure} figure=${shown} metric=${entry} target=${target} />` };
}

function rowName(row, named, by, linked) {
  if (row === ALL) return html`<b>${say("all")}</b>`;
  const name = named(by, row);
  const id = name !== row && row !== "unknown" ? html`<span class="detail">${row}</span>` : "";
  if (by !== "agent" || row === "unknown") return html`<span class="value">${name}</span>${id}`;
  return html`<a class="value" tabindex="-1" ...${linked({ ...NO_PANEL, agent: row })}>${name}</a>${id}`;
}

function Legend() {
  return html`<footer class="legend">
    <ul>${["met", "missed", "unclear", "few"].map((state) => html`<li key=${state} class=${`is-${state}`}><${Shape} state=${state} /> ${tell(`legend.${state}`)}</li>`)}</ul>
    <p>${tell("completed")}</p>
  </footer>`;
}

// One agent.

function Agent({ me, ...shared }) {
  const { told, go, stream, zone, known, named, linked } = shared;
  const [seen, setSeen] = useState({ data_age_s: null, at: null });
  const age = useAge(seen.data_age_s, seen.at);
  const metrics = usualMetrics("agent").filter((metric) => known.get(metric)?.windows.includes(told.window));
  const metric = metrics.includes(told.metric) ? told.metric : "nps_score";
  useTitle(`${named("agent", told.agent)} – ${tell("supervisor")}`);
  const noted = (readings) => {
    setSeen({ data_age_s: readings[0]?.data_age_s ?? null, at: performance.now() });
    return readings;
  };
  return html`
    <${Head} ...${{ me, stream, age, linked }} />
    <div class=${`body${seen.at !== null && !isLive(age) ? " old" : ""}`}>
      <div class="over-agent"><${Alerts} shared=${shared} /></div>
      <${AgentPage} ...${{ agent: told.agent, metrics, metric, window: told.window, catalog: known, zone, named, news: stream.news, noted,
        pick: (other) => go({ metric: other, order: "" }, { replace: true }), order: told.order || usualOrder(metric), reorder: (order) => go({ order }, { replace: true }),
        changeWindow: (window) => go({ window }), back: linked({ ...NO_PANEL, agent: "", by: "agent" }), linked: (agent) => linked({ ...NO_PANEL, agent }), linkedTeam: (team) => linked({ ...OTHER_GROUPING, agent: "", by: "team", q: team }) }} />
      <footer class="legend"><p>${tell("completed")}</p></footer>
    </div>`;
}

// On top of both.

function Head({ me, stream, age, problem, linked }) {
  return html`
    <a class="skip" href="#main">${tell("skip")}</a>
    <header class="head">
      <p class="brand"><a ...${linked({ ...OTHER_GROUPING, agent: "", by: "queue" })}><img src="/static/icon.svg" alt="" width="28" height="28" />${tell("supervisor")}</a></p>
      <${Fresh} age=${age} stream=${stream} waiting=${age === null && !problem} />
      <nav aria-label=${tell("pages")}><a href="/">${say("wallboard")}</a>${me?.name && html`<span class="me">${me.name}</span><form method="post" action="/logout"><button type="submit">${tell("log_out")}</button></form>`}</nav>
    </header>
    <div role="status">${age !== null && !isLive(age) && html`<p class="stale"><${Shape} state="old" /> <b>${say("not_live")}</b> ${say(stream.connected ? "no_confirmation" : "no_connection")}</p>`}</div>`;
}

function Fresh({ age }) {
  const live = isLive(age);
  return html`<p class=${`fresh ${live ? "live" : "old"}`}><strong>${say(live ? "live" : "not_live")}</strong> ${age !== null && html`<span class="age">${ageWords(age)}</span>`}</p>`;
}

render(html`<${Supervisor} />`, document.getElementById("supervisor"));
