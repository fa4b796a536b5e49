// Here is the table's content: figures by key and metric, kept as columns, so that thousands of rows are
// sorted and filtered without an object for each.
import { difference } from "./judgement.js";

const FRESH_S = 60;
const UNKNOWN = "unknown"; // the reserved key, which comes last among names

/** `first` and `second` (or null): columns of /api/v1/readings?form=columns. */
export function sheet(first, second) {
  const keys = union(first, second ?? []);
  const places = new Map(keys.map((key, at) => [key, at]));
  const columns = new Map(first.map((column) => [column.metric, { first: placed(column, keys, places), second: null }]));
  for (const column of second ?? []) {
    const beside = columns.get(column.metric);
    if (beside) beside.second = placed(column, keys, places);
  }
  return { keys, columns, compared: second !== null };
}

/** The figure at a row, as in a reading; null where there is no such column. */
export function figure(column, at) {
  if (!column) return null;
  return { value: column.values[at], lower: column.lower[at], upper: column.upper[at], support: column.supports[at] };
}

/** The rows that the filter leaves, in order; what has no data comes last, whichever way. `metric`: the
 *  catalogue's entry of the column that it is sorted by. */
export function arranged({ keys, columns }, sort, metric, text, name, collator) {
  const wanted = plain(text);
  const rows = [...keys.keys()].filter((at) => !wanted || plain(`${name(keys[at])} ${keys[at]}`).includes(wanted));
  const names = new Map(rows.map((at) => [at, name(keys[at])]));
  const byName = (a, b, sign = 1) => (keys[a] === UNKNOWN) - (keys[b] === UNKNOWN) || sign * collator.compare(names.get(a), names.get(b));
  const column = columns.get(sort.column);
  if (!column) return rows.sort((a, b) => byName(a, b, sort.down ? -1 : 1));
  const measure = measured(column, sort.part, metric);
  return rows.sort((a, b) => ranked(measure(a), measure(b), sort.down) || byName(a, b));
}

function union(first, second) {
  const all = [...first, ...second];
  if (!all.length) return [];
  if (all.every((column) => same(column.keys, all[0].keys))) return all[0].keys;
  return [...new Set(all.flatMap((column) => column.keys))];
}

function same(some, others) {
  return some.length === others.length && some.every((key, at) => key === others[at]);
}

function placed(column, keys, places) {
  if (same(column.keys, keys)) return column;
  const moved = { ...column, keys };
  const missing = { values: counted(column) ? 0 : null, lower: null, upper: null, supports: 0 };
  for (const name of Object.keys(missing)) {
    moved[name] = new Array(keys.length).fill(missing[name]);
    column.keys.forEach((key, at) => (moved[name][places.get(key)] = column[name][at]));
  }
  return moved;
}

// A group that has no reading had nothing to count, if all is known.
function counted({ unit, data_age_s }) {
  return unit === "count" && data_age_s !== null && data_age_s < FRESH_S;
}

function measured({ first, second }, part, metric) {
  if (part === "first") return (at) => first.values[at];
  if (!second) return () => null;
  return part === "second" ? (at) => second.values[at] : (at) => called(difference(figure(first, at), figure(second, at), metric));
}

// What is not called a difference is none.
function called({ kind, amount }) {
  return kind === "few" ? null : kind === "same" ? 0 : amount;
}

function ranked(a, b, down) {
  if (a === null || b === null) return (a === null) - (b === null);
  return down ? b - a : a - b;
}

function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();
}
