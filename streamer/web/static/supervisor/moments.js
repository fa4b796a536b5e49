// Here are moments as a form holds them: a date and a time of day where the site is.

const PARTS = { hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };

/** "2026-11-21T11:00", for an input of a date and a time. */
export function local(ms, zone) {
  const of = Object.fromEntries(new Intl.DateTimeFormat("en", { ...PARTS, timeZone: zone }).formatToParts(ms).map(({ type, value }) => [type, value]));
  return `${of.year}-${of.month}-${of.day}T${of.hour}:${of.minute}`;
}

/** The moment (ms) that a clock where the site is shows so; NaN where none does. */
export function moment(text, zone) {
  const as = Date.parse(`${text}Z`);
  if (Number.isNaN(as)) return NaN;
  const shown = (ms) => Date.parse(`${local(ms, zone)}Z`);
  const first = as - (shown(as) - as);
  return first - (shown(first) - as); // on the other side of a change of the clocks it is another one
}

/** What the address says: an RFC 3339 time, or seconds; null: now. */
export function asked(at) {
  if (!at) return null;
  return /^\d+(\.\d+)?$/.test(at) ? Number(at) * 1000 : Date.parse(at);
}
