// Here is what a supervisor may order of alerts: acknowledge, silence, and take either back.
import { detail, Problem } from "./answers.js";
import { tell } from "./words.js";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** How long a silence may last: minutes, or until midnight where the site is. */
export const SPANS = ["15", "60", "240", "midnight"];

export function acknowledge(id, comment) {
  return order("POST", "/api/v1/alerts/acknowledge", { id, comment });
}

export function takeBack(id) {
  return order("POST", "/api/v1/alerts/acknowledge", { id, acknowledged: false });
}

/** `key` null: all groups of the rule; `now` (ms): the server's clock. */
export function silence({ rule, key, span, comment }, now, zone) {
  const lasting = span === "midnight" ? { until: midnight(now, zone) / 1000 } : { minutes: Number(span) };
  return order("POST", "/api/v1/silences", { rule, key, comment, ...lasting });
}

export function endSilence(id) {
  return order("DELETE", `/api/v1/silences/${encodeURIComponent(id)}`);
}

/** Why nothing came of an order, in words. */
export function refusal({ status, message }) {
  if (status === 401) return tell("log_in_first");
  if (status === 403) return tell("alerts.failed.forbidden");
  if (status === 404 || status === 409) return tell("alerts.failed.gone");
  if (status === 503) return tell("alerts.failed.unavailable");
  if (status === 0 || status > 500) return tell("alerts.failed.away");
  return tell("alerts.failed.other", { detail: message });
}

/** The next midnight in a time zone, in ms; days are not all 24 hours long. */
export function midnight(now, zone) {
  let at = now + 24 * HOUR_MS - sinceMidnight(now, zone);
  const off = sinceMidnight(at, zone);
  at += off > 12 * HOUR_MS ? 24 * HOUR_MS - off : -off;
  return at;
}

function sinceMidnight(ms, zone) {
  const written = new Intl.DateTimeFormat("en", { timeZone: zone, hourCycle: "h23", hour: "numeric", minute: "numeric", second: "numeric" });
  const of = Object.fromEntries(written.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
  return of.hour * HOUR_MS + of.minute * MINUTE_MS + of.second * 1000 + (ms % 1000);
}

// Raises Problem.
async function order(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, { method, headers: { accept: "application/json", ...(body && { "content-type": "application/json" }) }, body: body && JSON.stringify(body) });
  } catch (error) {
    throw new Problem(0, String(error.message));
  }
  if (!answer.ok) throw new Problem(answer.status, await detail(answer));
}
