// Here is what this page says of values: its own words, and names for ids.
import { locale, say, valueName, words } from "../language.js";
import { HISTORY, NOW } from "./address.js";
import { parts as values } from "./judgement.js";

export const tell = (key, filled) => say(`supervisor.${key}`, filled);

/** The word for one of a known set, else the value itself: the server may know more than we. */
export function worded(set, value) {
  return words.supervisor[set]?.[value] ?? value;
}

export function rowCount(by, n) {
  const forms = words.supervisor.groups[by] ?? words.supervisor.groups.other;
  return tell("rows", { n: whole(n), what: n === 1 ? forms.one : forms.many });
}

/** "Queues", "Queue · Channel" for a pair. */
export function grouping(by) {
  const forms = words.supervisor.groups;
  if (by === NOW || by === HISTORY) return tell(`${by}.title`);
  return forms[by]?.title ?? by.split(",").map((part) => forms[part]?.single ?? part).join(" × ");
}

/** Names by dimension and id: `named(by, key)`. */
export function naming(names) {
  const known = new Map((names ?? []).map(({ by, key, name }) => [`${by} ${key}`, name]));
  return (by, key) => {
    const dimensions = by.split(",");
    const each = values(by, key).map((value, at) => known.get(`${dimensions[at]} ${value}`) ?? (value === "unknown" ? tell("unknown") : valueName(dimensions[at], value)));
    return by === "all" ? say("all") : each.join(" · ");
  };
}

const integers = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });

/** A count in full: a table has room for it. */
export function whole(n) {
  return integers.format(n).replace("-", "−");
}
