// Here is what the page shows, as its address says it: whoever is sent the link sees the same.

export const WINDOWS = ["5m", "15m", "30m", "1h", "4h", "today", "24h", "7d", "30d", "90d"];
export const WEEK_BEFORE = "week_before";
export const ALL = "\u0000all"; // the row of all groups together, which no key can be
export const NOW = "now"; // the tab of what is going on, beside the groupings
export const HISTORY = "history"; // and of what was
export const NO_PANEL = { metric: "", key: "", order: "", alert: "", group: "", at: "" };
export const OTHER_GROUPING = { ...NO_PANEL, q: "", queue: "", team: "", metrics: null, sort: { column: "key", part: "first", down: false } };
const PARTS = ["first", "second", "difference"];

const PLAIN = { by: "queue", window: "1h", compare: "", q: "", metric: "", key: "", order: "", agent: "", alert: "", group: "", at: "", queue: "", team: "", figure: "contacts", of: "all", only: "", interval: "1d", range: "this_week", from: "", to: "" };

/** What `location.search` asks for. `metrics` null: the usual ones of the grouping. */
export function read(search) {
  const asked = new URLSearchParams(search);
  const told = { lang: asked.get("lang") ?? "", theme: asked.get("theme") ?? "" };
  for (const [name, usual] of Object.entries(PLAIN)) told[name] = asked.get(name) || usual;
  if (!WINDOWS.includes(told.window)) told.window = PLAIN.window;
  if (!comparable(told.window).includes(told.compare)) told.compare = "";
  told.metrics = asked.get("metrics")?.split(",").filter(Boolean) ?? null;
  told.sort = order(asked.get("sort") || "key");
  return told;
}

/** The address of this page that shows it; what is as usual is not said. */
export function write(told) {
  const asked = new URLSearchParams();
  for (const [name, usual] of Object.entries(PLAIN)) if (told[name] && told[name] !== usual) asked.set(name, told[name]);
  if (told.metrics) asked.set("metrics", told.metrics.join(","));
  if (ordered(told.sort) !== "key") asked.set("sort", ordered(told.sort));
  if (told.lang) asked.set("lang", told.lang);
  if (told.theme) asked.set("theme", told.theme);
  const said = asked.toString().replaceAll("%2C", ",");
  return "/supervisor" + (said ? `?${said}` : "");
}

/** What a window can be compared with: the same hours a week earlier, or another window. */
export function comparable(window) {
  return ["", WEEK_BEFORE, ...WINDOWS.filter((other) => other !== window)];
}

// "-nps_score.difference": by the difference of nps_score, the greatest first.

function order(text) {
  const down = text.startsWith("-");
  const [column, part] = (down ? text.slice(1) : text).split(".");
  return { column, part: PARTS.includes(part) ? part : "first", down };
}

function ordered({ column, part, down }) {
  return (down ? "-" : "") + column + (part === "first" ? "" : `.${part}`);
}
