// Here is whether the page is live: news from the stream, and how old what is shown is.
import { useEffect, useReducer, useRef } from "../html.js";
import { LIVE_S, Stream, Version } from "../stream.js";

/** `{ news, rung, zone, ahead_ms, refused, connected }`: `news` counts what the stream says, so that it is asked
 *  again, `rung` what may be of alerts; `ahead_ms`: the server's clock less ours. */
export function useStream() {
  const [heard, hear] = useReducer(after, { news: 0, rung: 0, alerts: "", zone: undefined, limits: null, ahead_ms: 0, refused: null, connected: false });
  useEffect(() => {
    const version = new Version();
    const stream = new Stream("/api/v1/stream?view=default", (name, data) => {
      if (data?.version) version.seen(data.version);
      hear([name, data]);
    });
    stream.start();
    return () => stream.stop();
  }, []);
  return heard;
}

// A heartbeat is news too: the stream's view need not show what this page does.
function after(before, [name, data]) {
  if (name === "refused") return { ...before, refused: data, connected: false };
  if (name === "lost") return { ...before, connected: false };
  const alerts = data.alerts ? JSON.stringify(data.alerts) : "";
  const rung = before.rung + (name !== "change" || alerts !== before.alerts ? 1 : 0); // a wall's alerts are not all
  return { news: before.news + 1, rung, alerts: alerts || before.alerts, zone: data.timezone ?? before.zone, limits: data.long_states_s ?? before.limits, ahead_ms: data.now - Date.now(), refused: null, connected: true };
}

/** Seconds since what is shown was whole: `data_age_s` when it was answered `at`, and the time since. Null: never. */
export function useAge(data_age_s, at) {
  const [, tick] = useReducer((count) => (count + 1) % 3600, 0);
  const wall = useRef({ at: null, wall: 0 });
  if (wall.current.at !== at) wall.current = { at, wall: Date.now() };
  useEffect(() => {
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, []);
  if (at === null || data_age_s === null || data_age_s === undefined) return null;
  return data_age_s + Math.max(0, performance.now() - at, Date.now() - wall.current.wall) / 1000;
}

export function isLive(age) {
  return age !== null && age < LIVE_S;
}
