// Here is what a survey's figure is made of: how many customers gave which score.
import { html } from "../html.js";
import { counted } from "../language.js";
import { written } from "../numbers.js";
import { ask } from "./answers.js";
import { useAnswer } from "./asked.js";
import { promoted } from "./contacts.js";
import { Download } from "./download.js";
import { tell, whole, worded } from "./words.js";

const QUESTIONS = {
  nps_score: "nps", detractors: "nps", cnx_score: "cnx", csat_ratio: "csat", csat_mean: "csat",
  ces_score: "ces", ces_easy_ratio: "ces", effort_score: "effort",
};
const SIDES = ["detractor", "passive", "promoter"];

/** Nothing for a metric that no question is behind. */
export function Distribution({ of: { metric, ...group }, news }) {
  const question = QUESTIONS[metric];
  const asked = { question, ...group };
  const { answer } = useAnswer(question ? JSON.stringify(asked) : null, (signal) => ask("/api/v1/distribution", asked, signal), news);
  const found = answer?.[0];
  if (!found?.answers) return null;
  return html`<section class="distribution" aria-labelledby="distribution-name">
    <header><h3 id="distribution-name">${tell("distribution")}</h3><p>${worded("questions", question)} · ${counted("answers", found.answers, whole(found.answers))}</p><${Download} path="/api/v1/distribution" asked=${asked} what=${tell("distribution")} /></header>
    ${promoted(question, 0) && html`<${Shares} found=${found} />`}
    <${Bars} found=${found} />
  </section>`;
}

function Shares({ found: { question, answers, scores } }) {
  const sums = Object.fromEntries(SIDES.map((side) => [side, scores.filter((one) => promoted(question, one.score) === side).reduce((sum, one) => sum + one.count, 0)]));
  return html`<div class="shares">
    <div class="stack" aria-hidden="true">${SIDES.map((side) => html`<span key=${side} class=${side} style=${{ flexGrow: sums[side] }}></span>`)}</div>
    <ul>${SIDES.map((side) => html`<li key=${side} class=${side}><span class="swatch" aria-hidden="true"></span>${tell(`${side}s`)} <b>${written(sums[side] / answers, "ratio")}</b> <span class="of">${whole(sums[side])}</span></li>`)}</ul>
  </div>`;
}

function Bars({ found: { question, scores, answers } }) {
  const most = Math.max(1, ...scores.map((one) => one.count));
  return html`<table class="bars">
    <caption class="unseen">${tell("distribution")}</caption>
    <thead class="unseen"><tr><th scope="col">${tell("score")}</th><th scope="col">${tell("customers")}</th></tr></thead>
    <tbody>${scores.map(({ score, count }) => html`<tr key=${score} class=${promoted(question, score) ?? "plain"}>
      <th scope="row">${score}</th>
      <td><span class="bar" style=${{ width: `${(100 * count) / most}%` }}></span><span class="count">${whole(count)}<span class="of"> ${count ? written(count / answers, "ratio") : ""}</span></span></td>
    </tr>`)}</tbody>
  </table>`;
}
