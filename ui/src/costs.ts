/** What freeing costs, by strength: `GET /resource_gate/free/costs`. */
import { list, maybe, object, text } from "./read";

export const STRENGTHS = ["warning", "critical", "emergency"] as const;
export type Strength = (typeof STRENGTHS)[number];

export interface Cost {
  /** Bytes that would come free; null where that cannot be told. */
  bytes: number | null;
  /** Nodes that would run again. */
  reruns: number | null;
  /** Models that would be loaded again. */
  reloads: string[];
}

export interface Costs {
  of: Partial<Record<Strength, Cost>>;
  /** Why it cannot be told now: a node runs. */
  deferred: string;
}

export function readCosts(value: unknown): Costs {
  const data = object(value);
  const known = STRENGTHS.filter((strength) => strength in data);
  const of = Object.fromEntries(
    known.map((strength) => {
      const one = object(data[strength]);
      return [strength, { bytes: maybe(one.bytes), reruns: maybe(one.reruns), reloads: list(one.reloads).map(text).filter(Boolean) }];
    }),
  );
  return { of, deferred: text(data.deferred) };
}
