// Here is the grid: a table of any length of which only what is seen is drawn, walked with the arrow keys.
//
// One cell is in the order of tabbing; the row it is in is always drawn, so that the focus never gets
// lost to scrolling, sorting or news.
import { html, useCallback, useLayoutEffect, useMemo, useRef, useState } from "../html.js";

const AROUND = 8; // rows drawn before and after those that are seen
const HEAD = -1; // the place of the column heads
const HEADS = Symbol("heads"); // and what is in place of their row's id

/** `columns`: `{ id, group, span, text }`, the first names the row. `rows`: their ids in order; the first
 *  stays in sight if `pinned`. `head`, `cell` draw; `sorted`: `{ id, down }`; `open(row, column)`, `sort(column)`. */
export function Grid({ label, columns, rows, pinned, head, cell, sorted, sort, open, chosen, busy }) {
  const scroller = useRef(null);
  const [active, setActive] = useState({ row: null, column: columns[0].id });
  const [asked, setAsked] = useState(0); // the focus is to move; counted, so that it moves each time
  const seen = useSeen(scroller, rows.length);
  const grouped = columns.some((one) => one.group);
  const places = useMemo(() => new Map(rows.map((row, at) => [row, at])), [rows]);
  const column = Math.max(0, columns.findIndex((one) => one.id === active.column));
  const row = active.row === HEADS ? HEAD : (places.get(active.row) ?? 0);

  useLayoutEffect(() => {
    const stop = asked && scroller.current.querySelector("[tabindex='0']");
    if (!stop) return;
    stop.focus({ preventScroll: true });
    stop.closest("td,th").scrollIntoView({ block: row > 0 || !pinned ? "nearest" : "end", inline: "nearest" });
  }, [asked]);

  const move = useCallback((toRow, toColumn) => {
    const at = Math.min(rows.length - 1, Math.max(HEAD, toRow));
    setActive({ row: at === HEAD ? HEADS : rows[at], column: columns[Math.min(columns.length - 1, Math.max(0, toColumn))].id });
    setAsked((times) => times + 1);
  }, [rows, columns]);

  const keyed = (event) => {
    const to = destination(event, { row, column, last: rows.length - 1, end: columns.length - 1, page: seen.page });
    if (to) move(...to);
    else if (event.key !== "Enter" && event.key !== " ") return;
    else if (row === HEAD || event.target.closest("a")) return; // a button or a link, which knows what to do
    else open(rows[row], columns[column]);
    event.preventDefault();
  };

  const clicked = (event) => {
    const at = event.target.closest("td,th[scope=row]");
    if (!at || event.target.closest("a")) return;
    const place = rows[Number(at.parentNode.dataset.at)];
    setActive({ row: place, column: columns[at.cellIndex].id });
    setAsked((times) => times + 1);
    open(place, columns[at.cellIndex]);
  };

  const line = useLines((at) => ({
    at, row: rows[at], columns, cell, pinned: pinned && at === 0, grouped,
    active: at === row ? column : -1, chosen: chosen?.row === rows[at] ? chosen.column : null,
  }));
  return html`<div class="scroller" ref=${scroller} onScroll=${seen.scrolled}>
    <table role="grid" aria-label=${label} aria-rowcount=${rows.length + (grouped ? 2 : 1)}
      aria-colcount=${columns.length} aria-busy=${busy ? "true" : "false"} onKeyDown=${keyed} onClick=${clicked}>
      <${Heads} ...${{ columns, grouped, head, sorted, sort, active: row === HEAD ? column : -1, focused: (id) => setActive({ row: HEADS, column: id }) }} />
      <tbody>
        ${drawn(rows.length, seen, row, pinned).map((part) => typeof part === "object" ? html`<${Gap} key=${part.key} rows=${part.rows} columns=${columns.length} />` : line(part))}
      </tbody>
    </table>
  </div>`;
}

function Heads({ columns, grouped, head, sorted, sort, active, focused }) {
  return html`<thead>
    ${grouped && html`<tr class="groups" aria-rowindex="1"><td class="name"></td>${columns.map((one, at) => one.span ? html`<th key=${one.id} scope="colgroup" colspan=${one.span} aria-colindex=${at + 1}>${one.group}</th>` : null)}</tr>`}
    <tr aria-rowindex=${grouped ? 2 : 1}>${columns.map((one, at) => html`
      <th key=${one.id} scope="col" class=${at ? (one.span ? "first" : "") : "name"} aria-colindex=${at + 1} aria-sort=${sorted.id === one.id ? (sorted.down ? "descending" : "ascending") : "none"}>
        <button type="button" tabindex=${at === active ? 0 : -1} onFocus=${() => focused(one.id)} onClick=${() => sort(one)}>
          <span class="arrow" aria-hidden="true">${sorted.id === one.id ? (sorted.down ? "↓ " : "↑ ") : ""}</span>${head(one)}
        </button>
      </th>`)}
    </tr>
  </thead>`;
}

function Row({ at, row, columns, cell, pinned, active, chosen, grouped }) {
  return html`<tr data-at=${at} aria-rowindex=${at + (grouped ? 3 : 2)} class=${pinned ? "pinned" : ""}>
    ${columns.map((one, of) => {
      const { content, className } = cell(row, one);
      const picked = chosen === one.id ? " chosen" : "";
      const shared = { key: one.id, tabindex: of === active ? 0 : -1, "aria-colindex": of + 1, class: `${className}${picked}${of && one.span ? " first" : ""}` };
      return of ? html`<td ...${shared}>${content}</td>` : html`<th scope="row" ...${shared}>${content}</th>`;
    })}
  </tr>`;
}

// The row at a place, drawn anew only if something of it is another: scrolling draws but the rows that come.
function useLines(properties) {
  const kept = useRef(new Map());
  const before = kept.current;
  kept.current = new Map();
  return (at) => {
    const wanted = properties(at);
    const known = before.get(wanted.row);
    const same = known && Object.keys(wanted).every((name) => known.wanted[name] === wanted[name]);
    const line = same ? known : { wanted, node: html`<${Row} key=${wanted.row} ...${wanted} />` };
    kept.current.set(wanted.row, line);
    return line.node;
  };
}

function Gap({ rows, columns }) {
  return html`<tr role="presentation" class="gap"><td role="presentation" colspan=${columns} style=${{ height: `calc(${rows} * var(--row))` }}></td></tr>`;
}

/** What is drawn: places of rows, and `{ rows }` for gaps between them. */
export function drawn(count, { first, last }, active, pinned) {
  const from = Math.max(0, first - AROUND);
  const to = Math.min(count, last + AROUND);
  const places = new Set(pinned && count ? [0] : []);
  if (active >= 0 && active < count) places.add(active);
  for (let at = from; at < to; at++) places.add(at);
  const parts = [];
  let next = 0;
  for (const at of [...places].sort((a, b) => a - b)) {
    if (at > next) parts.push({ rows: at - next, key: `before ${at}` });
    parts.push(at);
    next = at + 1;
  }
  if (next < count) parts.push({ rows: count - next, key: "rest" });
  return parts;
}

function destination(event, { row, column, last, end, page }) {
  const control = event.ctrlKey || event.metaKey;
  if (event.altKey || event.shiftKey) return null;
  switch (event.key) {
    case "ArrowUp": return [row - 1, column];
    case "ArrowDown": return [row + 1, column];
    case "ArrowLeft": return [row, column - 1];
    case "ArrowRight": return [row, column + 1];
    case "PageUp": return [Math.max(0, row - page), column];
    case "PageDown": return [Math.min(last, row + page), column];
    case "Home": return [control ? 0 : row, 0];
    case "End": return [control ? last : row, end];
    default: return null;
  }
}

// The rows that are seen, by a row's height, which is the same for all.
function useSeen(scroller, count) {
  const [range, setRange] = useState({ first: 0, last: 40 });
  const measure = useCallback(() => {
    const box = scroller.current;
    const height = box?.querySelector("tbody tr[data-at]")?.offsetHeight;
    if (!height) return;
    const step = Math.max(1, Math.floor(AROUND / 2)); // not drawn anew for every row
    const first = Math.floor(box.scrollTop / height / step) * step;
    const last = Math.ceil((box.scrollTop + box.clientHeight) / height / step) * step;
    setRange((before) => (before.first === first && before.last === last ? before : { first, last }));
  }, []);
  useLayoutEffect(() => {
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(scroller.current);
    return () => watch.disconnect();
  }, [count]);
  return { ...range, page: Math.max(1, range.last - range.first - 2), scrolled: measure };
}
