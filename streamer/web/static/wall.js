// Here is the wallboard: one view, live, for weeks.
import "./theme.js";
import { AgentStates } from "./agent_states.js";
import { called, figureWords, marks, ordered, sinceWords, Told } from "./alerts.js";
import { after, EMPTY } from "./board.js";
import { html, render, useEffect, useLayoutEffect, useReducer, useRef, useState } from "./html.js";
import { groupName, say } from "./language.js";
import { LiveTile } from "./live_tile.js";
import { ageWords, time } from "./numbers.js";
import { QueueTable } from "./queue_table.js";
import { Shape } from "./shapes.js";
import { Sound } from "./sound.js";
import { keepAwake, Stream, Version } from "./stream.js";
import { Tile } from "./tile.js";

// Without a view in the address the server chooses: a display's own, else the default.
const view = new URLSearchParams(location.search).get("view");
const address = view ? `/api/v1/stream?view=${encodeURIComponent(view)}` : "/api/v1/stream";
const SECONDS = { hour: "2-digit", minute: "2-digit", second: "2-digit" };

function Wall() {
  const [board, event] = useReducer((now, [name, data]) => after(now, name, data, Date.now()), EMPTY);
  const [refused, setRefused] = useState(null);
  const stream = useStream(event, setRefused);
  const turning = useTurning(board);
  useTick();

  const page = board.pages[turning.at];
  const name = (page && groupName({ ...page, group: page.name })) || board.title || say("wallboard");
  useLayoutEffect(() => void (document.title = name), [name]);
  if (refused) return html`<${Refused} status=${refused} />`;
  const live = stream.live;
  return html`
    <header class="head">
      <div class="what">
        <h1>${name}</h1>
        <p class="window">${subtitle(board, page)}</p>
      </div>
      <${Turning} board=${board} turning=${turning} />
      <${Sound} board=${board} live=${live} />
      <${Now} board=${board} stream=${stream} />
    </header>
    <${Notices} board=${board} stream=${stream} turning=${turning} />
    <${Board} tiles=${page?.tiles ?? []} board=${board} stream=${stream} />
  `;
}

// What is going on now stands in a strip on top, where there is anything else below it.
function Board({ tiles, board, stream }) {
  const now = Date.now() + board.ahead_ms;
  const shared = { live: stream.live, now, asOf: now - 1000 * (stream.age() ?? 0), zone: board.timezone, window: ownWindow(tiles) };
  const [above, below] = [tiles.filter(isLive), tiles.filter((tile) => !isLive(tile))];
  const strip = above.length > 0 && below.length > 0;
  const each = (some) => some.map((tile) => html`<${SHOWN[tile.metric] ?? (isLive(tile) ? LiveTile : Tile)} key=${tile.id} tile=${tile} alerts=${board.alerts.filter((alert) => marks(alert, tile))} ...${shared} />`);
  // How much of the height others take, which tiles in two rows must do without.
  const low = (strip ? 2 : 0) + (board.alerts.length ? 1 : 0) + (board.pages.length && !stream.live ? 1 : 0);
  return html`<main class="board" data-low=${low}>
    ${strip && html`<section class="strip" aria-label=${say("going_on.now")} data-count=${above.length}>${each(above)}</section>`}
    <div class="tiles" data-count=${strip ? below.length : tiles.length} data-strip=${strip}>${each(strip ? below : tiles)}</div>
  </main>`;
}

const SHOWN = { queue_table: QueueTable, agent_states: AgentStates };

function isLive(tile) {
  return tile.window === "now" && !SHOWN[tile.metric];
}

// The window that most of the figures have.
function ownWindow(tiles) {
  const windows = tiles.map((tile) => tile.window).filter((window) => window !== "now");
  const times = (window) => windows.filter((other) => other === window).length;
  return windows.sort((one, other) => times(other) - times(one))[0];
}

function subtitle(board, page) {
  const window = page && ownWindow(page.tiles);
  const said = [page?.name && board.title, window && say(`windows.${window}`)];
  return said.filter(Boolean).join(" · ");
}

// What the page holds on to as long as it is open: one stream.
function useStream(event, refused) {
  const kept = useRef(null);
  kept.current ??= new Stream(address, (name, data) => {
    if (name === "refused") return refused(data);
    if (name === "lost") return event([name, null]);
    refused(null);
    version.seen(data.version);
    event([name, data]);
  });
  useEffect(() => {
    kept.current.start();
    return () => kept.current.stop();
  }, []);
  return kept.current;
}

const version = new Version();

// Clock and age move each second, also when nothing is heard.
function useTick() {
  const [, tick] = useReducer((count) => (count + 1) % 3600, 0);
  useEffect(() => {
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, []);
}

// Which page is shown; it turns by itself unless stopped.
function useTurning(board) {
  const [wanted, setAt] = useState(0);
  const [stopped, setStopped] = useState(false);
  const count = board.pages.length;
  const at = count ? wanted % count : 0;
  const turn = (by) => setAt((was) => ((was % count) + by + count) % count);

  useEffect(() => {
    if (count < 2 || stopped || !board.rotate_s) return undefined;
    const timer = setTimeout(() => turn(1), board.rotate_s * 1000);
    return () => clearTimeout(timer);
  }, [at, count, stopped, board.rotate_s]);

  useEffect(() => {
    if (count < 2) return undefined;
    const pressed = (key) => {
      if (key.ctrlKey || key.altKey || key.metaKey) return;
      if (key.key === "ArrowRight") turn(1);
      if (key.key === "ArrowLeft") turn(-1);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [at, count]);

  return { at, turn, stopped, stop: () => setStopped(!stopped) };
}

function Turning({ board, turning }) {
  const count = board.pages.length;
  const play = turning.stopped ? "resume" : "pause";
  const stop = html`<button type="button" aria-label=${say(play)} onClick=${turning.stop}><${Sign} of=${play} /></button>`;
  if (count < 2) return board.alerts.length > 1 && html`<div class="turning">${stop}</div>`;
  const said = say("page", { name: board.pages[turning.at].name || say("all"), n: turning.at + 1, count });
  return html`<nav class="turning" aria-label=${say("pages")}>
    <button type="button" aria-label=${say("previous")} onClick=${() => turning.turn(-1)}><${Sign} of="previous" /></button>
    <span class="dots" role="img" aria-label=${said}>
      ${board.pages.map((page, place) => html`<i key=${place} class=${place === turning.at ? "here" : ""} />`)}
    </span>
    <button type="button" aria-label=${say("next")} onClick=${() => turning.turn(1)}><${Sign} of="next" /></button>
    ${stop}
  </nav>`;
}

const SIGNS = {
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  pause: "M9 5v14M15 5v14",
  resume: "M8 5l10 7-10 7z",
};

function Sign({ of }) {
  return html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d=${SIGNS[of]} /></svg>`;
}

function Now({ board, stream }) {
  const age = stream.age();
  const here = Date.now() + board.ahead_ms;
  return html`<div class="now">
    <p class="fresh ${stream.live ? "live" : "old"}">
      <strong>${say(stream.live ? "live" : "not_live")}</strong>
      <span>${age !== null && ageWords(age)}</span>
    </p>
    <p class="clock">
      <time>${time(here, board.timezone)}</time>
      <span class="zone">${board.timezone.replaceAll("_", " ")}</span>
    </p>
  </div>`;
}

// The banners: that the numbers are old, and what the server warns of, one alert after the other.
const MOST = 5; // alerts that are shown in turn; the others are counted
const ALERT_S = 7;
const LETTERS = 20; // of a group's name: what is wrong with it must have room beside it

function Notices({ board, stream, turning }) {
  const uncounted = !stream.live && neverCounted(board, stream);
  const worst = ordered(board.alerts).filter((alert) => alert !== uncounted);
  const count = Math.min(MOST, worst.length);
  const at = useAlertInTurn(count, turning.stopped);
  return html`<div class="notices">
    <div role="status">
      ${!stream.live && html`<${NotLive} board=${board} stream=${stream} />`}
    </div>
    <${Told} alerts=${board.alerts} />
    ${count > 0 && html`<section aria-label=${say("supervisor.alerts.title")}>
      <${Alert} key=${worst[at].id} alert=${worst[at]} board=${board} place=${at} count=${count} more=${worst.length - count} />
    </section>`}
  </div>`;
}

// Which alert is shown; the first one again when alerts come or go.
function useAlertInTurn(count, stopped) {
  const [at, setAt] = useState(0);
  useEffect(() => setAt(0), [count]);
  useEffect(() => {
    if (count < 2 || stopped) return undefined;
    const timer = setTimeout(() => setAt((was) => (was + 1) % count), ALERT_S * 1000);
    return () => clearTimeout(timer);
  }, [at, count, stopped]);
  return count ? at % count : 0;
}

function NotLive({ board, stream }) {
  if (!board.pages.length) return html`<p class="notice waiting">${say(stream.failures ? "no_connection" : "connecting")}</p>`;
  const uncounted = neverCounted(board, stream);
  const why = stream.connected ? "no_confirmation" : "no_connection";
  return html`<p class="notice not-live">
    <${Shape} state="old" />
    <strong>${say("not_live")}</strong>
    <span>${uncounted ? called(uncounted)[0] : `${howOld(board, stream)} ${say(why)}`}</span>
  </p>`;
}

// The alert that says why there is no age: no worker has run yet, or none has caught up.
function neverCounted(board, stream) {
  return stream.connected && stream.age() === null && board.alerts.find((alert) => alert.kind === "worker" || alert.kind === "behind");
}

// How old stands beside the clock alone: a screen reader is told again at each change.
function howOld(board, stream) {
  const age = stream.age();
  if (age === null) return say("unconfirmed");
  return say("as_of", { time: time(Date.now() + board.ahead_ms - age * 1000, board.timezone, SECONDS) });
}

// Colours of its own has only what nobody has seen yet; shape and word are there in any case.
function Alert({ alert, board, place, count, more }) {
  const [text, tongue] = called(alert, LETTERS);
  const state = alert.acknowledged ? "seen" : alert.phase === "clearing" ? "recovering" : "";
  const now = Date.now() + board.ahead_ms;
  const figures = figureWords(alert, now, board.timezone);
  return html`<div class="notice alert ${alert.acknowledged ? "quiet" : ""} ${alert.severity}">
    <${Shape} state=${alert.severity} />
    <p class="headline"><strong>${say(`watch.${alert.severity}`)}</strong> <span class="what" lang=${tongue}>${text}</span></p>
    <p class="since">${state && html`<span class="mark">${state === "seen" && html`<${Shape} state="seen" />`} ${say(`watch.${state}`)}</span>`}
      <time>${sinceWords(alert.since, now, board.timezone)}</time></p>
    ${figures.length > 0 && html`<p class="rests">${figures.map((part, at) => [at > 0 && " · ", part])}</p>`}
    ${count > 1 && html`<p class="place">${say("watch.place", { n: place + 1, count })}${more > 0 && ` · ${say("more", { n: more })}`}</p>`}
  </div>`;
}

function Refused({ status }) {
  const stranger = status === 401 || status === 403;
  return html`<main class="refused">
    <h1>${say("wallboard")}</h1>
    <p role="alert">${stranger ? say("not_allowed") : say("no_view", { name: `“${view ?? ""}”` })}</p>
    ${stranger && html`<p><a href="/login">${say("log_in")}</a></p>`}
  </main>`;
}

render(html`<${Wall} />`, document.getElementById("wall"));
keepAwake();
