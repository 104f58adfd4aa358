/** What was done to free memory, as `GET log`, the `action` event and `last_action` tell it. */
import { level, type Level } from "./levels";
import { list, maybe, number, object, text, type Json } from "./read";

export interface Rung {
  name: string;
  freed: number;
  seconds: number;
  detail: string;
}

export interface Action {
  time: number;
  level: Level;
  resource: string;
  /** In English. */
  text: string;
  /** Why, as a code and its numbers; empty where the server only tells it in words. */
  cause: Json;
  freed: number;
  goal: number | null;
  met: boolean;
  dryRun: boolean;
  rungs: Rung[];
}

/** Read one action of the log. */
export function readAction(value: unknown): Action {
  const data = object(value);
  return {
    time: number(data.time),
    level: level(data.level),
    resource: text(data.resource),
    cause: object(data.cause),
    text: text(data.text) || text(data.why),
    freed: number(data.freed),
    goal: maybe(data.goal),
    met: data.met !== false,
    dryRun: data.dry_run === true,
    rungs: list(data.rungs).map((one) => {
      const rung = object(one);
      return { name: text(rung.name), freed: number(rung.freed), seconds: number(rung.seconds), detail: text(rung.detail) };
    }),
  };
}

/** What came of `POST /resource_gate/free`. */
export function readFreed(value: unknown): { freed: number; actions: Action[]; deferred: string; cause: Json } {
  const data = object(value);
  const freed = number(data.would_free) || number(data.freed);
  return { freed, actions: list(data.actions).map(readAction), deferred: text(data.deferred), cause: object(data.cause) };
}
