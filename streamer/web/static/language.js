// Here is the language of the page, by ?lang= or the browser's, and its words.
import en from "./words/en.js";
import es from "./words/es.js";
import zh from "./words/zh.js";

const TABLES = { en, es, zh };
const USUAL = { en: "en-GB", es: "es-ES", zh: "zh-CN" }; // where the browser names no country

function known(tag) {
  const prefix = tag.toLowerCase().split("-")[0];
  return Object.hasOwn(TABLES, prefix) ? prefix : null;
}

function chosen(asked, preferred) {
  const first = [asked, ...preferred, "en"].find((tag) => known(tag));
  const language = known(first);
  const own = [asked, ...preferred].find((tag) => tag.includes("-") && known(tag) === language && valid(tag));
  return { language, locale: own ?? USUAL[language] };
}

/** Whether it may stand in `lang`: a tag of BCP 47, known or not. */
export function valid(tag) {
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
}

const asked = new URLSearchParams(location.search).get("lang") ?? "";
export const { language, locale } = chosen(asked, navigator.languages ?? []);
export const words = TABLES[language];

document.documentElement.lang = locale;

// The words under a key such as "states.met"; {name} stands for a value of `values`.
export function say(key, values = {}) {
  const found = key.split(".").reduce((table, part) => table?.[part], words);
  return typeof found === "string" ? filled(found, values) : key;
}

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

const plural = new Intl.PluralRules(locale);

// "112 answers": a count in the words of `samples`.
export function counted(kind, n, text) {
  return several(words.samples[kind], n, text);
}

// A count in one of the forms that a language has for it.
export function several(forms, n, text) {
  return filled(forms[plural.select(n)] ?? forms.other, { n: text });
}

export function metricName(metric) {
  return words.metrics[metric]?.name ?? metric;
}

const tongues = new Intl.DisplayNames(locale, { type: "language", fallback: "none" });

/** The name of a value that everybody calls the same: "es" is "Spanish", "voice" "Voice"; else itself. */
export function valueName(dimension, value) {
  if (dimension === "channel" && Object.hasOwn(words.supervisor.channels, value)) return words.supervisor.channels[value];
  const name = dimension === "language" && valid(value) && tongues.of(value);
  return name ? name[0].toLocaleUpperCase(locale) + name.slice(1) : value;
}

/** What the server calls a group by one dimension, in the page's language where it has no name of its own. */
export function groupName({ by, key, group }) {
  return !group || group === key ? valueName(by, key) : group;
}

export function metricWords(metric) {
  return words.metrics[metric]?.words ?? "";
}
