// Here is the live stream of a view: opened, watched, opened again with back-off and jitter when it
// ends or falls silent, and how old what it last confirmed is by now.

const SILENT_S = 20; // a heartbeat comes every 15 s
const FIRST_S = 0.5;
const LONGEST_S = 8;
const HIDDEN_S = 60;
export const LIVE_S = 30; // older than that is not shown as live

export class Stream {
  // `heard(name, data)`: snapshot, change or heartbeat with its data; "refused" with the status of the answer.
  constructor(url, heard) {
    this.url = url;
    this.heard = heard;
    this.connected = false;
    this.confirmed = null; // { data_age_s, wall, steady } of the last event
    this.failures = 0;
    this.source = null;
    this.timer = null; // of the next attempt, or of the silence that ends this one
    this.hiding = null;
    this.seen = () => this.visibility();
  }

  start() {
    document.addEventListener("visibilitychange", this.seen);
    this.open();
  }

  stop() {
    document.removeEventListener("visibilitychange", this.seen);
    clearTimeout(this.hiding);
    this.close();
  }

  // Seconds since the data was known to be complete; null if it never was. Two clocks: one may be set
  // back, the other may stand still while the machine sleeps.
  age() {
    if (this.confirmed === null || this.confirmed.data_age_s === null) return null;
    const { data_age_s, wall, steady } = this.confirmed;
    return data_age_s + Math.max(0, Date.now() - wall, performance.now() - steady) / 1000;
  }

  get live() {
    const age = this.age();
    return age !== null && age < LIVE_S;
  }

  open() {
    this.close();
    const source = new EventSource(this.url);
    this.source = source;
    for (const name of ["snapshot", "change", "heartbeat"]) {
      source.addEventListener(name, (event) => source === this.source && this.take(name, JSON.parse(event.data)));
    }
    source.onerror = () => source === this.source && this.failed();
    this.wait(SILENT_S, () => this.failed());
  }

  close() {
    this.connected = false;
    clearTimeout(this.timer);
    if (this.source) {
      this.source.onerror = null;
      this.source.close();
      this.source = null;
    }
  }

  take(name, data) {
    this.connected = true;
    if (name === "snapshot") this.failures = 0;
    this.confirmed = { data_age_s: data.data_age_s, wall: Date.now(), steady: performance.now() };
    this.wait(SILENT_S, () => this.failed());
    this.heard(name, data);
  }

  failed() {
    const wasRefused = !this.connected;
    this.close();
    const pause_s = Math.min(LONGEST_S, FIRST_S * 2 ** this.failures) * (0.5 + Math.random());
    this.failures += 1;
    this.wait(pause_s, () => this.open());
    if (wasRefused) this.ask();
    this.heard("lost", null);
  }

  // An EventSource does not say why it was refused: not logged in, or no such view.
  async ask() {
    const abort = new AbortController();
    try {
      const answer = await fetch(this.url, { signal: abort.signal });
      if (answer.status >= 400 && answer.status < 500) this.heard("refused", answer.status);
    } catch {
      // nobody there: the next attempt is under way
    } finally {
      abort.abort();
    }
  }

  wait(seconds, then) {
    clearTimeout(this.timer);
    this.timer = setTimeout(then, seconds * 1000);
  }

  // Nobody looks: the stream is closed after a while, and opened at once when somebody does again.
  visibility() {
    clearTimeout(this.hiding);
    if (document.hidden) {
      this.hiding = setTimeout(() => this.close(), HIDDEN_S * 1000);
    } else if (this.source === null) {
      this.failures = 0;
      this.open();
    }
  }
}

// Loads the page again when its files are of another version than those it was loaded with: at once if
// nobody touches it, else when nobody did for a minute.
const UNTOUCHED_MS = 60_000;
const SPREAD_MS = 5_000; // not all televisions at the same moment

export class Version {
  constructor() {
    this.loaded = null;
    this.touched = -Infinity;
    this.timer = null;
    for (const name of ["pointerdown", "keydown", "wheel", "touchstart"]) {
      addEventListener(name, () => (this.touched = Date.now()), { passive: true });
    }
  }

  seen(version) {
    if (!version) return;
    this.loaded ??= version;
    if (version !== this.loaded && this.timer === null) this.later(Math.random() * SPREAD_MS);
  }

  later(ms) {
    this.timer = setTimeout(() => {
      const left = this.touched + UNTOUCHED_MS - Date.now();
      if (left > 0) this.later(left);
      else location.reload();
    }, ms);
  }
}

// Keeps the screen on where the browser can (it wants HTTPS or loopback); asked again when it is seen again.
export function keepAwake() {
  const ask = async () => {
    if (document.hidden) return;
    try {
      await navigator.wakeLock?.request("screen");
    } catch {
      // on battery, or not allowed: the screen's own settings decide
    }
  };
  document.addEventListener("visibilitychange", ask);
  ask();
}
