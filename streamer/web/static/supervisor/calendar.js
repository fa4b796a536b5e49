// Days, ranges and interval labels, as the calendar of the site has them. A day is "2026-11-21".
import { time } from "../numbers.js";
import { local } from "./moments.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export const INTERVALS = ["15m", "30m", "1h", "1d", "1w", "1mo"];
export const RANGES = ["today", "yesterday", "this_week", "last_week", "this_month", "last_month"];

/** `{ from, to }`: the first and the last day of a range. */
export function daysOf(range, now, zone) {
  const today = local(now, zone).slice(0, 10);
  const monday = weekOf(today);
  switch (range) {
    case "today": return { from: today, to: today };
    case "yesterday": return { from: moved(today, -1), to: moved(today, -1) };
    case "last_week": return { from: moved(monday, -7), to: moved(monday, -1) };
    case "this_month": return { from: monthOf(today), to: today };
    case "last_month": return { from: monthOf(moved(monthOf(today), -1)), to: moved(monthOf(today), -1) };
    default: return { from: monday, to: today };
  }
}

export function moved(day, days) {
  return new Date(Date.parse(day) + days * DAY_MS).toISOString().slice(0, 10);
}

/** The Monday of a day's week. */
export function weekOf(day) {
  return moved(day, -((new Date(day).getUTCDay() + 6) % 7));
}

/** The interval that a reading is of, by a name that groups in other zones share: its day, or its moment. */
export function placeOf({ window, from, to, complete }, zone) {
  const half = { "1d": 12 * HOUR_MS, "1w": 3.5 * DAY_MS, "1mo": 14 * DAY_MS }[window];
  if (!half) return from;
  const cut = !complete && Date.parse(to) - Date.parse(from) < half; // where retention begins, or under way
  const day = local(Date.parse(from) + (cut ? 0 : half), zone).slice(0, 10);
  return { "1d": day, "1w": weekOf(day), "1mo": monthOf(day) }[window];
}

const DAY = { weekday: "short", day: "numeric", month: "short" };

/** "Tue 3 Nov", "November 2026", "Tue 3 Nov, 14:00". */
export function placeName(place, interval, zone) {
  if (interval === "1mo") return time(Date.parse(place), "UTC", { month: "long", year: "numeric" });
  if (place.length === 10) return time(Date.parse(place), "UTC", DAY);
  return time(Date.parse(place), zone, { ...DAY, hour: "2-digit", minute: "2-digit" });
}

/** "Mon" … "Sun". */
export function weekdays() {
  return [0, 1, 2, 3, 4, 5, 6].map((day) => time(Date.UTC(2024, 0, 1 + day), "UTC", { weekday: "short" }));
}

/** Where in a week a moment lies: `{ week, day, hour }`, Monday is 0. */
export function hourOfWeek(ms, zone) {
  const text = local(ms, zone);
  const day = text.slice(0, 10);
  return { week: weekOf(day), day: (new Date(day).getUTCDay() + 6) % 7, hour: Number(text.slice(11, 13)) };
}

function monthOf(day) {
  return `${day.slice(0, 7)}-01`;
}
