// Here is the sound of the wallboard, on request: once when something goes from none to one, and again every
// 20 s until somebody says that it was heard, or until it is over. Made by the browser: there is no file.
import { html, useLayoutEffect, useReducer, useRef } from "./html.js";
import { say } from "./language.js";

const AGAIN_MS = 20_000;
const KEPT = "streamer.sound"; // in this browser

/** `counts` by name, of what may ring. `heard` forgets what rings now; it rings again after it was none. */
export class Bell {
  constructor(play) {
    this.play = play;
    this.before = null; // nothing rings because a page was opened
    this.ringing = new Set();
    this.rung_ms = null;
  }

  update(counts, now_ms) {
    const before = this.before ?? counts;
    for (const [name, count] of Object.entries(counts)) {
      if (!count) this.ringing.delete(name);
      else if (!before[name]) this.begin(name);
    }
    this.before = counts;
    if (this.ringing.size && (this.rung_ms === null || now_ms - this.rung_ms >= AGAIN_MS)) this.ring(now_ms);
  }

  begin(name) {
    this.ringing.add(name);
    this.rung_ms = null; // what is new is not kept waiting
  }

  ring(now_ms) {
    this.rung_ms = now_ms;
    this.play();
  }

  heard() {
    this.ringing.clear();
  }
}

/** What may ring on a board: contacts that wait, and alerts that nobody has acknowledged. */
export function counted(board) {
  const waiting = board.pages.flatMap((page) => page.tiles).filter((tile) => tile.metric === "waiting");
  return {
    waiting: waiting.reduce((sum, tile) => sum + (tile.value ?? 0), 0),
    alerts: board.alerts.filter((alert) => !alert.acknowledged && alert.phase !== "clearing").length,
  };
}

/** The buttons of the sound. Without news no sound: old numbers ring for nobody. */
export function Sound({ board, live }) {
  const [, draw] = useReducer((times) => times + 1, 0);
  const kept = useRef(null);
  kept.current ??= new Speaker(draw);
  const speaker = kept.current;
  useLayoutEffect(() => {
    if (live) speaker.bell.update(counted(board), Date.now());
  });
  const rings = speaker.on && speaker.bell.ringing.size > 0;
  return html`<div class="sound">
    ${rings && html`<button type="button" class="heard" onClick=${() => speaker.heard()}>${say("sound.heard")}</button>`}
    <button type="button" aria-pressed=${speaker.on ? "true" : "false"} aria-label=${say(speaker.blocked ? "sound.blocked" : "sound.on")} title=${say(speaker.blocked ? "sound.blocked" : "sound.on")} onClick=${() => speaker.toggle()}>
      <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${speaker.on && !speaker.blocked ? LOUD : QUIET} /></svg>
    </button>
  </div>`;
}

const LOUD = "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 8.8a4.6 4.6 0 0 1 0 6.4M18.2 6a8.4 8.4 0 0 1 0 12";
const QUIET = "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5";

// A browser lets nothing sound before somebody has touched the page: after it was loaded, the first touch
// does where the sound was on before.
class Speaker {
  constructor(draw) {
    this.draw = draw;
    this.on = remembered();
    this.context = null;
    this.bell = new Bell(() => this.on && this.sound());
    if (this.on) {
      this.start();
      for (const name of ["pointerdown", "keydown"]) addEventListener(name, () => this.on && this.start(), { once: true });
    }
  }

  get blocked() {
    return this.on && this.context?.state !== "running";
  }

  start() {
    this.context ??= new AudioContext();
    this.context.onstatechange = () => this.draw();
    this.context.resume().then(() => this.draw(), () => this.draw());
  }

  toggle() {
    const allow = this.blocked;
    this.on = allow || !this.on;
    remember(this.on);
    if (this.on) this.start();
    if (this.on && !allow) this.sound(); // so sounds it
    if (!this.on) this.heard();
    this.draw();
  }

  heard() {
    this.bell.heard();
    this.draw();
  }

  // Two soft tones, one above the other.
  sound() {
    const { context } = this;
    if (!context) return;
    [[0, 659.3], [0.22, 880]].forEach(([after, pitch]) => {
      const [tone, volume] = [context.createOscillator(), context.createGain()];
      const from = context.currentTime + after;
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0, from);
      volume.gain.linearRampToValueAtTime(0.35, from + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.001, from + 0.5);
      tone.connect(volume).connect(context.destination);
      tone.start(from);
      tone.stop(from + 0.55);
    });
  }
}

function remembered() {
  try {
    return localStorage.getItem(KEPT) === "on";
  } catch {
    return false; // the browser keeps nothing
  }
}

function remember(on) {
  try {
    localStorage.setItem(KEPT, on ? "on" : "off");
  } catch {
    // it is on as long as the page is open
  }
}
