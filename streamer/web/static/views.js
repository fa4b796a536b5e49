// Here is the index of the wallboard's views, with the link of each that a display opens.
import "./theme.js";
import { html, render, useEffect, useState } from "./html.js";
import { metricName, say, words } from "./language.js";

const LANGUAGES = [["", "views.as_browser"], ["en", "views.en"], ["es", "views.es"], ["zh", "views.zh"]];
const THEMES = [["", "views.as_usual"], ["dark", "views.dark"], ["light", "views.light"]];
const TABLES = { queue_table: "going_on.queues", agent_states: "going_on.agents" };

function Views() {
  const [views, setViews] = useState(null);
  const [failed, setFailed] = useState(false);
  const [chosen, setChosen] = useState({ lang: "", theme: "", display: "" });
  useEffect(() => void fetched().then(setViews, () => setFailed(true)), []);
  useEffect(() => void (document.title = say("views.title")), []);
  const choose = (name) => (event) => setChosen({ ...chosen, [name]: event.target.value.trim() });
  return html`<main>
    <h1>${say("views.title")}</h1>
    <form onSubmit=${(event) => event.preventDefault()}>
      <${Choice} name="language" options=${LANGUAGES} onChange=${choose("lang")} />
      <${Choice} name="theme" options=${THEMES} onChange=${choose("theme")} />
      <label>${say("views.token")}<input type="text" autocomplete="off" spellcheck=${false} onInput=${choose("display")} /></label>
    </form>
    ${failed && html`<p role="alert" class="problem">${say("views.failed")}</p>`}
    <ul>${views?.map((view) => html`<${View} key=${view.name} view=${view} chosen=${chosen} />`)}</ul>
  </main>`;
}

async function fetched() {
  const answer = await fetch("/api/v1/views");
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

function Choice({ name, options, onChange }) {
  return html`<label>${say(`views.${name}`)}<select onChange=${onChange}>
    ${options.map(([value, words]) => html`<option key=${value} value=${value}>${say(words)}</option>`)}
  </select></label>`;
}

// A display's token brings its own view with it.
function View({ view, chosen }) {
  const asked = { ...(chosen.display ? {} : { view: view.name }), ...chosen };
  const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
  const address = new URL(`/?${query}`, location.href).href;
  const groups = view.groups.length ? view.groups.join(", ") : say("watch.whole");
  const tiles = view.tiles.map((tile) => (TABLES[tile] ? say(TABLES[tile]) : metricName(tile)));
  return html`<li>
    <h2><a href=${`/?view=${encodeURIComponent(view.name)}`}>${view.title || view.name}</a></h2>
    <p>${groups} · ${words.windows[view.window]}</p>
    <p>${tiles.join(", ")}</p>
    ${view.displays.length > 0 && html`<p>${say("views.displays", { names: view.displays.join(", ") })}</p>`}
    <input readonly value=${address} aria-label=${say("views.link", { name: view.title || view.name })} onFocus=${(event) => event.target.select()} />
  </li>`;
}

render(html`<${Views} />`, document.getElementById("views"));
