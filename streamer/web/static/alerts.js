// Here is how an alert is called, in the page's language: on the wall and for supervisors alike.
import { html, useEffect, useRef, useState } from "./html.js";
import { groupName, language, metricName, say } from "./language.js";
import { aim, interval, time, written } from "./numbers.js";
import { parts } from "./supervisor/judgement.js";

const DAY_MS = 86_400_000;
const DATE = { year: "numeric", month: "numeric", day: "numeric" };
const MOMENT = { hour: "2-digit", minute: "2-digit" };
const DAY = { weekday: "short", ...MOMENT };
const LONG_AGO = { day: "numeric", month: "short", ...MOMENT };
const READ_OUT = 3; // of alerts that come at the same moment; the others are counted
const CLEARED_MS = 20_000;

/** `[text, lang]`, for the server speaks English: of kinds we do not know, its words. Names of groups are cut
 *  after `most` letters. */
export function called(alert, most = Infinity) {
  if (alert.what === "odd") return [say("watch.odd"), undefined];
  if (alert.what) {
    const whose = alert.by === "all" || !alert.group ? say("watch.whole") : cut(groupName(alert), most);
    if (alert.what === "unserved") return [say("watch.unserved", { group: whose }), undefined];
    return [say("watch.title", { metric: metricName(alert.metric), group: whose, what: say(`watch.${alert.what}`) }), undefined];
  }
  const ours = say(`alerts.${alert.kind}`);
  return language === "en" || ours.startsWith("alerts.") ? [alert.text, "en"] : [ours, undefined];
}

/** A name of at most so many letters. */
export function cut(name, most) {
  const letters = [...name];
  return letters.length > most ? `${letters.slice(0, most).join("")}…` : name;
}

/** What an alert rests on, in parts: its figure now with its interval, window, target, and the figure when
 *  it fired. None where it is about no figure, or where that may not be shown. */
export function figureWords(alert, now, zone) {
  const { current, fired_value: was, unit, metric } = alert;
  if (!current || current.value === null) return [];
  const figure = { ...current, metric, unit, better: alert.better };
  const fired = was !== null && say("watch.was", { value: written(was, unit, current.currency, current.value), time: dated(alert.fired_at, now, zone) });
  return [
    html`<b>${written(current.value, unit, current.currency)}</b> ${interval(figure)}`,
    say(`windows.${alert.window}`), aim(figure), fired,
  ].filter(Boolean);
}

/** Whether an alert is about the figure of a tile, or about one of a group within it. */
export function marks(alert, tile) {
  if (alert.metric === null || alert.metric !== tile.metric) return false;
  const values = ({ by, key }) => (by === "all" ? [] : by.split(",").map((name, at) => `${name} ${parts(by, key)[at]}`));
  const own = values(alert);
  return values(tile).every((value) => own.includes(value));
}

export const isCritical = (alert) => alert.severity === "critical";

/** Those that nobody has seen first, of these the critical ones; else as they come. */
export function ordered(alerts) {
  return [...alerts].sort((one, other) => rank(one) - rank(other));
}

function rank(alert) {
  return (alert.acknowledged ? 2 : 0) + (isCritical(alert) ? 0 : 1);
}

/** "Since 10:35"; of another day than `now` with the day. */
export function sinceWords(since, now, zone) {
  return time(since, zone, DATE) === time(now, zone, DATE) ? say("watch.since", { time: time(since, zone, MOMENT) }) : say("watch.since_day", { day: dated(since, now, zone) });
}

/** "10:35"; of another day than `now`, "Fri 10:35"; of more than a week ago, "3 Nov, 10:35". */
export function dated(ms, now, zone) {
  if (time(ms, zone, DATE) === time(now, zone, DATE)) return time(ms, zone, MOMENT);
  return time(ms, zone, Math.abs(now - ms) < 6 * DAY_MS ? DAY : LONG_AGO);
}

/** Reads out each alert once, when it comes: critical ones at once, others when there is a pause. What is
 *  seen may be drawn again as often as it likes. */
export function Told({ alerts }) {
  const known = useRef(new Set());
  const [said, setSaid] = useState({ polite: "", assertive: "" });
  useEffect(() => {
    const fresh = alerts.filter((alert) => !known.current.has(alert.id) && !alert.acknowledged && !alert.silenced);
    known.current = new Set(alerts.map((alert) => alert.id));
    if (fresh.length) setSaid({ assertive: spoken(fresh.filter(isCritical)), polite: spoken(fresh.filter((alert) => !isCritical(alert))) });
  }, [alerts]);
  useEffect(() => {
    if (!said.polite && !said.assertive) return undefined;
    const timer = setTimeout(() => setSaid({ polite: "", assertive: "" }), CLEARED_MS);
    return () => clearTimeout(timer);
  }, [said]);
  return html`<div class="unseen told-alerts"><p aria-live="assertive">${said.assertive}</p><p aria-live="polite">${said.polite}</p></div>`;
}

function spoken(alerts) {
  const each = alerts.slice(0, READ_OUT).map((alert) => say("watch.told", { severity: say(`watch.${alert.severity}`), title: called(alert)[0] }));
  return [...each, alerts.length > READ_OUT ? say("more", { n: alerts.length - READ_OUT }) : ""].filter(Boolean).join(" ");
}
