// Here is how values, times and ages are written: by unit, and by the locale of the page. A value is
// `{ text, unit }`, so that a page may show the unit small; nothing is rounded anywhere else.
import { counted, locale, say } from "./language.js";
import samples from "./samples.js";

export const NO_DATA = "–";
const MINUTE = 60;
const COMPACT_FROM = 10_000; // a television has room for four digits

const formats = new Map();

function format(options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(locale, options));
  return formats.get(key);
}

function decimal(value, digits) {
  const rounded = Number(value.toFixed(digits)) + 0; // no -0
  return format({ minimumFractionDigits: digits, maximumFractionDigits: digits }).format(rounded).replace("-", "−");
}

// How many decimals a value is given; an interval is written with those of its value.
function digits(value, unit) {
  const size = Math.abs(value);
  switch (unit) {
    case "ratio":
      return size < 0.0995 ? 1 : 0;
    case "seconds":
      return size < 9.95 ? 1 : 0;
    case "score":
      return 2;
    case "erlangs":
      return size < 99.5 ? 1 : 0;
    default:
      return 0;
  }
}

// The scale of seconds: below a minute in seconds, up to 100 minutes as 6:42, above in hours.
function scale(value) {
  if (Math.abs(value) < MINUTE - 0.5) return "s";
  return Math.abs(value) < 100 * MINUTE - 0.5 ? "min" : "h";
}

function duration(value, unit, decimals) {
  if (unit === "s") return decimal(value, decimals);
  if (unit === "h") return decimal(value / 3600, 1);
  const seconds = Math.round(Math.abs(value));
  const clock = `${Math.floor(seconds / MINUTE)}:${String(seconds % MINUTE).padStart(2, "0")}`;
  return value < 0 && seconds ? `−${clock}` : clock;
}

// A large count or sum: 12.3 with the unit "k".
function compact(value, options) {
  const size = Math.abs(value) >= COMPACT_FROM ? { notation: "compact", maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 };
  const found = format({ ...options, ...size }).formatToParts(value);
  const of = (...types) => found.filter((part) => types.includes(part.type)).map((part) => part.value).join("");
  const text = of("minusSign", "integer", "group", "decimal", "fraction").replace("-", "−");
  const places = found.map((part) => part.type);
  const signFirst = places.indexOf("currency") < places.indexOf("integer");
  if (!options.currency) return { text, unit: of("compact") };
  return signFirst ? { before: of("currency"), text, unit: of("compact") } : { text, unit: [of("compact"), of("currency")].filter(Boolean).join("\u00a0") };
}

// A value as `like` (another of the same metric) would be written: in its scale, with its decimals.
export function parts(value, unit, currency, like = value) {
  if (value === null || value === undefined) return { text: NO_DATA, unit: "" };
  switch (unit) {
    case "ratio":
      return { text: decimal(100 * value, digits(like, unit)), unit: "%" };
    case "seconds":
      return { text: duration(value, scale(like), digits(like, unit)), unit: say(`units.${scale(like)}`) };
    case "currency":
      return compact(value, { style: "currency", currency, currencyDisplay: "narrowSymbol" });
    case "count":
      return compact(value, {});
    case "erlangs":
      return { text: decimal(value, digits(like, unit)), unit: say("units.erlangs") };
    default:
      return { text: decimal(value, digits(like, unit)), unit: "" };
  }
}

const percentSpace = /\s/.test(format({ style: "percent" }).format(0.5)) ? "\u00a0" : "";

function joined({ before = "", text, unit }) {
  if (!unit) return before + text;
  return `${before}${text}${unit === "%" ? percentSpace : "\u00a0"}${unit}`;
}

// "87 %", "6:42 min", "–".
export function written(value, unit, currency, like = value) {
  return joined(parts(value, unit, currency, like));
}

// "(64 to 81)", "" without one.
export function interval({ value, lower, upper, unit, currency }) {
  if (value === null || lower === null || upper === null) return "";
  const [from, to] = [lower, upper].map((end) => parts(end, unit, currency, value));
  return say("interval", { lower: (from.before ?? "") + from.text, upper: joined(to) });
}

// "112 answers", "" for a count, whose sample is itself.
export function sample({ metric, support }) {
  const kind = samples[metric];
  return kind && support !== null ? counted(kind, support, decimal(support, 0)) : "";
}

// "too few answers (4 of 20)".
export function tooFew({ metric, support, least_support: least }) {
  if (support === null || least === null) return say("states.few");
  return say(`few.${samples[metric] ?? "answers"}`, { n: decimal(support, 0), least: decimal(least, 0) });
}

// "Target at least 80 %", "" without one.
export function aim({ target, better, unit, currency }) {
  if (target === null) return "";
  return say(better === "higher" ? "at_least" : "at_most", { value: trimmed(target, unit, currency) });
}

// A target is a round number: 4.2, not 4.20; 2.5 %, not 3 %.
function trimmed(target, unit, currency) {
  const exact = (value) => format({ maximumFractionDigits: 2 }).format(value).replace("-", "−");
  if (unit === "ratio") return joined({ text: exact(100 * target), unit: "%" });
  if (unit === "seconds" && scale(target) === "s") return joined({ text: exact(target), unit: say("units.s") });
  if (unit === "seconds" && scale(target) === "min" && target % MINUTE === 0)
    return joined({ text: exact(target / MINUTE), unit: say("units.min") });
  if (unit === "seconds" || unit === "currency") return written(target, unit, currency);
  return exact(target);
}

// "12 s old".
export function ageWords(seconds) {
  if (seconds < 120) return say("age", { n: decimal(Math.floor(seconds), 0) });
  if (seconds < 7200) return say("age_minutes", { n: decimal(Math.floor(seconds / 60), 0) });
  return say("age_hours", { n: decimal(Math.floor(seconds / 3600), 0) });
}

// Times in the site's zone. One writer per zone and style, whatever is shown for weeks.
const clocks = new Map();

export function time(ms, zone, style = { hour: "2-digit", minute: "2-digit" }) {
  const key = `${zone} ${JSON.stringify(style)}`;
  if (!clocks.has(key)) clocks.set(key, new Intl.DateTimeFormat(locale, { timeZone: zone, ...style }));
  return clocks.get(key).format(ms);
}
