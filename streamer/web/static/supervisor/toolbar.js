// Here is what is chosen: the grouping, the window, what it is compared with, which rows and columns.
import { html, useEffect, useRef, useState } from "../html.js";
import { metricName, metricWords, say } from "../language.js";
import { comparable, WEEK_BEFORE, WINDOWS } from "./address.js";
import { grouping, tell } from "./words.js";

export function Groupings({ all, by, linked }) {
  return html`<nav class="groupings" aria-label=${tell("grouping")}><ul>
    ${all.map((one) => html`<li key=${one}><a ...${linked(one)} aria-current=${one === by ? "page" : undefined}>${grouping(one)}</a></li>`)}
  </ul></nav>`;
}

export function Filter({ text, change, count }) {
  return html`<div class="filter">
    <label><span class="unseen">${tell("filter")}</span><input type="search" value=${text} placeholder=${tell("filter")} onInput=${(event) => change(event.target.value)} /></label>
    <${Told} text=${count} />
  </div>`;
}

// Read out once typing has stopped, and not when the count changes by itself.
function Told({ text }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setSaid(text), 700);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<span class="count" aria-hidden="true">${text}</span><span class="unseen" role="status">${said}</span>`;
}

export function Window({ window, change }) {
  return html`<${Choice} label=${tell("window")} value=${window} change=${change} options=${WINDOWS.map((one) => [one, say(`windows.${one}`)])} />`;
}

export function Compared({ window, compare, change }) {
  const word = (one) => (one === "" ? tell("nothing") : one === WEEK_BEFORE ? tell("week_before") : say(`windows.${one}`));
  return html`<${Choice} label=${tell("compare")} value=${compare} change=${change} options=${comparable(window).map((one) => [one, word(one)])} />`;
}

export function Choice({ label, value, options, change }) {
  return html`<label class="choice"><span>${label}</span>
    <select value=${value} onChange=${(event) => change(event.target.value)}>${options.map(([one, word]) => html`<option key=${one} value=${one} selected=${one === value}>${word}</option>`)}</select>
  </label>`;
}

/** Which metrics are columns. `all`: those of this grouping; those not read over the window cannot be had. */
export function Columns({ all, chosen, window, usual, change }) {
  const place = useRef(null);
  useOutside(place);
  const toggled = (metric) => change(chosen.includes(metric) ? chosen.filter((one) => one !== metric) : [...chosen, metric]);
  const escaped = (event) => {
    if (event.key !== "Escape" || !place.current.open) return;
    place.current.open = false;
    place.current.querySelector("summary").focus();
  };
  return html`<details class="picker" ref=${place} onKeyDown=${escaped}>
    <summary class="button">${tell("columns")} <span class="count">${chosen.length}</span></summary>
    <fieldset>
      <legend class="unseen">${tell("columns")}</legend>
      <div class="ticks">${all.map(({ metric, windows }) => html`<label key=${metric} class=${windows.includes(window) ? "" : "unserved"}>
        <input type="checkbox" checked=${chosen.includes(metric)} onChange=${() => toggled(metric)} />
        <span><b>${metricName(metric)}</b><small>${windows.includes(window) ? metricWords(metric) : tell("not_over_window")}</small></span>
      </label>`)}</div>
      <button type="button" onClick=${() => change(null)} disabled=${usual}>${tell("usual_columns")}</button>
    </fieldset>
  </details>`;
}

function useOutside(place) {
  useEffect(() => {
    const pressed = (event) => {
      if (place.current?.open && !place.current.contains(event.target)) place.current.open = false;
    };
    addEventListener("pointerdown", pressed);
    return () => removeEventListener("pointerdown", pressed);
  }, []);
}
