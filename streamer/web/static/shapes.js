// Here are the shapes that say what a colour says too: one outline for each state, and the arrows.
import { html } from "./html.js";

const STATES = {
  met: () => html`<circle cx="12" cy="12" r="11" fill="currentColor" /><path class="cut" d="M6.5 12.5l3.8 3.8 7.4-8" />`,
  missed: () => html`<path d="M12 1.5L23.5 22h-23z" fill="currentColor" /><path class="cut" d="M12 9v5.5M12 18.2v.1" />`,
  unclear: () => html`<path d="M12 1l11 11-11 11L1 12z" fill="currentColor" /><path class="cut" d="M6.6 13.4c1.8-3.6 3.8-3 5.4-1.4s3.6 2.2 5.4-1.4" />`,
  few: () => html`<circle cx="12" cy="12" r="9.6" class="ring dashed" />`,
  no_data: () => html`<path class="ring" d="M4 12h16" />`,
  no_target: () => html`<circle cx="12" cy="12" r="9.6" class="ring" />`,
  critical: () => html`<path d="M7.4 1h9.2L23 7.4v9.2L16.6 23H7.4L1 16.6V7.4z" fill="currentColor" /><path class="cut" d="M12 6v7M12 17.4v.1" />`,
  warning: () => html`<path d="M12 1.5L23.5 22h-23z" fill="currentColor" /><path class="cut" d="M12 9v5.5M12 18.2v.1" />`,
  seen: () => html`<path class="ring" d="M2.5 12.6l6 6.4L21.5 5" />`,
  silenced: () => html`<path class="ring" d="M5.5 18V11a6.5 6.5 0 0 1 13 0v7zM10 21.5h4M3 3l18 18" />`,
  pending: () => html`<circle cx="12" cy="12" r="9.6" class="ring" /><path class="ring" d="M12 6.5V12l3.8 2.6" />`,
  over: () => html`<circle cx="12" cy="12" r="9.6" class="ring" /><path class="ring" d="M7.4 12.4l3 3 6-6.4" />`,
  near: () => html`<path d="M12 1l11 11-11 11L1 12z" fill="currentColor" /><path class="cut" d="M12 6.8V12l3.2 2.4" />`,
  late: () => html`<path d="M12 1.5L23.5 22h-23z" fill="currentColor" /><path class="cut" d="M12 10v4.4l3 2.2" />`,
  unserved: () => html`<path d="M7.4 1h9.2L23 7.4v9.2L16.6 23H7.4L1 16.6V7.4z" fill="currentColor" /><path class="cut" d="M7 12h10" />`,
  old: () => html`<circle cx="12" cy="12" r="9.6" class="ring" /><path class="ring" d="M5.5 18.5l13-13" />`,
};

export function Shape({ state }) {
  return html`<svg class="shape" viewBox="0 0 24 24" aria-hidden="true">${STATES[state]()}</svg>`;
}

export function Arrow({ way }) {
  const path = way === "up" ? "M12 22V4M3.5 12L12 3l8.5 9" : "M12 2v18M3.5 12L12 21l8.5-9";
  return html`<svg class="arrow" viewBox="0 0 24 24" aria-hidden="true"><path d=${path} /></svg>`;
}
