// Here is what may be said of a figure: whether it meets its target, and whether two of them differ.
// The interval decides, never the figure alone; where the sample is too small, nothing is said.
import conditions from "../target_conditions.js";

/** "no_data", "few", "no_target", "met", "missed", or "unclear": the target lies within the interval. */
export function state(figure, metric, target) {
  if (figure.value === null) return "no_data";
  if (few(figure, metric)) return "few";
  if (target === null || target === undefined) return "no_target";
  const [lower, upper] = told(figure) ? [figure.lower, figure.upper] : [figure.value, figure.value];
  const holds = ([end, comparison]) => COMPARE[comparison]({ lower, upper }[end], target);
  return Object.entries(conditions[metric.better]).find(([, condition]) => holds(condition))?.[0] ?? "unclear";
}

const COMPARE = { ">=": (one, other) => one >= other, "<=": (one, other) => one <= other, ">": (one, other) => one > other, "<": (one, other) => one < other };

export function few(figure, metric) {
  return figure.value !== null && Boolean(metric.least_support) && figure.support < metric.least_support;
}

/** How the first differs from the second: "better" or "worse" only where their intervals are apart;
 *  "same" where they touch; "plain" where there is none to tell by; "unknown" without data. */
export function difference(first, second, metric) {
  if (!first || !second || first.value === null || second.value === null) return { kind: "unknown", amount: null };
  const amount = first.value - second.value;
  if (few(first, metric) || few(second, metric)) return { kind: "few", amount };
  if (!told(first) || !told(second)) return { kind: "plain", amount };
  if (first.lower <= second.upper && second.lower <= first.upper) return { kind: "same", amount };
  return { kind: amount > 0 === (metric.better === "higher") ? "better" : "worse", amount };
}

export function targetOf(metric, by, key) {
  const queue = by.split(",").indexOf("queue");
  if (queue < 0) return metric.target;
  const own = metric.queue_targets[parts(by, key)[queue]];
  return own === undefined ? metric.target : own;
}

/** The values of a key's dimensions. Within those of a pair a comma is written `\,` and a backslash `\\`. */
export function parts(by, key) {
  if (!by.includes(",")) return [key];
  return (key.match(/(?:[^,\\]|\\[^])+/g) ?? [""]).map((value) => value.replace(/\\([^])/g, "$1"));
}

function told(figure) {
  return figure.lower !== null && figure.upper !== null;
}
