// Here is what is going on at this moment: how long somebody has waited by now, and whether that is too long.
// The server says since when, and from when on it will be; the page's clock does the rest.
import { NO_DATA } from "./numbers.js";

const SECOND = 1000;

/** "0:07", "12:40", "1:02:05"; "–" where nobody waits. */
export function waited(since, now) {
  return since === null || since === undefined ? NO_DATA : clock((now - since) / SECOND);
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (part) => String(part).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** "late": longer than the target; "near": soon so; "" else. `near_at` and `late_at`: from when on, null: never. */
export function judged({ near_at, late_at }, now) {
  const past = (at) => at !== null && at !== undefined && at <= now;
  return past(late_at) ? "late" : past(near_at) ? "near" : "";
}
