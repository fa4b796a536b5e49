// Here is how the page asks the server: once, or again whenever there is news, but never too often.

const LEAST_PAUSE_MS = 2_000;
const SHARE = 4; // of an answer that takes long, so that asking takes a fifth of the time at most

/** An answer that is none: `status` 0 where nobody answered. */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** The address of a question; parameters that are null or "" are left out. */
export function address(path, parameters) {
  return `${path}?${new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== null && value !== ""))}`;
}

/** The JSON that answers it; of a list that is longer than its page `total` says how long. Raises Problem. */
export async function ask(path, parameters, signal) {
  let answer;
  try {
    answer = await fetch(address(path, parameters), { signal, headers: { accept: "application/json" } });
    if (answer.ok) return counted(await answer.json(), answer.headers.get("x-total-count"));
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, String(error.message));
  }
  throw new Problem(answer.status, await detail(answer));
}

function counted(items, total) {
  return total === null ? items : Object.assign(items, { total: Number(total) });
}

export async function detail(answer) {
  try {
    return (await answer.json()).detail ?? answer.statusText;
  } catch {
    return answer.statusText;
  }
}

/** A question that is asked at once, and again after `news()`. `answered` and `failed` are told. */
export class Repeated {
  constructor(question, answered, failed) {
    Object.assign(this, { question, answered, failed });
    this.pause_ms = LEAST_PAUSE_MS;
    this.asked_at = -Infinity;
    this.wanted = false;
    this.timer = null;
    this.abort = null;
    this.seen = () => !document.hidden && this.wanted && this.news();
    document.addEventListener("visibilitychange", this.seen);
    this.start();
  }

  news() {
    this.wanted = true;
    if (this.abort !== null || this.timer !== null || document.hidden) return;
    this.timer = setTimeout(() => this.start(), Math.max(0, this.asked_at + this.pause_ms - performance.now()));
  }

  async start() {
    this.timer = null;
    this.wanted = false;
    this.asked_at = performance.now();
    const abort = (this.abort = new AbortController());
    try {
      const answer = await this.question(abort.signal);
      if (!abort.signal.aborted) this.answered(answer);
    } catch (error) {
      if (!abort.signal.aborted) this.failed(error);
    }
    if (abort.signal.aborted) return;
    this.abort = null;
    this.pause_ms = Math.max(LEAST_PAUSE_MS, SHARE * (performance.now() - this.asked_at));
    if (this.wanted) this.news();
  }

  end() {
    document.removeEventListener("visibilitychange", this.seen);
    clearTimeout(this.timer);
    this.abort?.abort();
  }
}
