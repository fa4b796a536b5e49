// Here is a question of a component: what is known of its answer, as the component draws it.
import { useEffect, useRef, useState } from "../html.js";
import { Problem, Repeated } from "./answers.js";

const UNKNOWN = { answer: null, problem: null, at: null };

/** `{ answer, problem, at }` of `question(signal)`; asked again when `key` changes (null: not at all), and
 *  after each new `news`. What was answered stays while it is asked again; another key forgets it. */
export function useAnswer(key, question, news = 0) {
  const [known, setKnown] = useState({ key: null, ...UNKNOWN });
  const repeated = useRef(null);
  useEffect(() => {
    if (key === null) return undefined;
    const answered = (answer) => setKnown({ key, answer, problem: null, at: performance.now() });
    const failed = (problem) => {
      if (!(problem instanceof Problem)) throw problem;
      setKnown((before) => ({ ...(before.key === key ? before : UNKNOWN), key, problem }));
    };
    repeated.current = new Repeated(question, answered, failed);
    return () => repeated.current.end();
  }, [key]);
  useEffect(() => {
    if (news) repeated.current?.news();
  }, [news]);
  return known.key === key ? known : UNKNOWN;
}
