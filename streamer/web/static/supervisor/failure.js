// Here is what is said while there is no answer, and when there will be none.
import { html } from "../html.js";
import { say } from "../language.js";
import { tell } from "./words.js";

export function Waiting() {
  return html`<p class="waiting" role="status">${tell("waiting")}</p>`;
}

export function Failure({ problem }) {
  if (problem.status === 401) return html`<p class="failure" role="alert">${tell("log_in_first")} <a href="/login">${say("log_in")}</a></p>`;
  if (problem.status === 403) return html`<p class="failure" role="alert">${tell("not_yours")}</p>`;
  if (problem.status === 0 || problem.status >= 500) return html`<p class="failure" role="alert">${tell("no_answer")}</p>`;
  return html`<p class="failure" role="alert"><span lang="en">${problem.message}</span></p>`;
}
