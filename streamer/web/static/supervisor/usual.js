// Here are the groupings in the order of the page, and the columns each begins with.
const FIRST = ["queue", "team", "agent", "channel", "site", "reason", "language"];

const OF_GROUPS = ["contacts", "nps_score", "csat_ratio", "service_level_ratio", "wait_time_seconds", "abandon_ratio", "handle_time_seconds", "repeat_ratio", "transfer_ratio"];
const OF_AGENTS = ["answered", "nps_score", "csat_ratio", "fcr_survey_ratio", "handle_time_seconds", "acw_time_seconds", "repeat_ratio", "transfer_ratio", "qa_score"];

/** All that the catalogue's metrics can be read by; pairs last. */
export function groupings(catalog) {
  const known = new Set(catalog.flatMap((entry) => entry.by));
  known.delete("all");
  return [...FIRST.filter((by) => known.has(by)), ...[...known].filter((by) => !FIRST.includes(by))];
}

export function usualMetrics(by) {
  return by.split(",").includes("agent") ? OF_AGENTS : OF_GROUPS;
}
