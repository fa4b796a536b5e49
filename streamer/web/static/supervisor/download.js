// Here are the links that take a table home, as CSV or for Excel, as it is filtered and shown.
import { html } from "../html.js";
import { address } from "./answers.js";
import { tell } from "./words.js";

const FORMATS = [["csv", "CSV"], ["xlsx", "Excel"]];

/** `path` and `asked`: the question that the table answers; `what`: the table, for those who do not see it. */
export function Download({ path, asked, what }) {
  return html`<p class="download"><span aria-hidden="true">${tell("download")}</span>${FORMATS.map(([format, name]) => html`<a key=${format} href=${address(path, { ...asked, format })} download aria-label=${tell("download_of", { what, format: name })}>${name}</a>`)}</p>`;
}
