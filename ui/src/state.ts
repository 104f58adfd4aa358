/** What the panel knows, and how what happens changes it: pure functions, but for the trail, which grows in place. */
import type { Costs } from "./costs";
import type { Fleet } from "./fleet";
import type { Form, Refusal } from "./form";
import type { Jobs, Summary } from "./jobs";
import type { Answer } from "./shell";
import { readAction, type Action } from "./action";
import { readStatus, type Status } from "./status";
import { CLOCK_SET, Trail } from "./trail";

/** How it stands with the server. */
export type Link = "connecting" | "live" | "lost" | "missing" | "refused";
/** Where an outcome is told: beside the button that was pressed. */
export type Place = "gate" | "free" | "batch" | "restore" | "aside" | "settings" | "thresholds";

export interface Said {
  place: Place;
  ok: boolean;
  text: string;
  /** Milliseconds on this machine's clock. */
  at: number;
}

export interface State {
  link: Link;
  /** What the server said when it refused; empty where it said what this panel does not understand. */
  message: string;
  status: Status | null;
  /** Seconds the server's clock is ahead of this machine's. */
  skew: number;
  /** A command is on its way. */
  busy: Place | null;
  said: Said | null;
  /** Who we are to the server; jobs of this tab have the same. */
  client: string | null;
  trail: Trail;
  /** Each null until it was asked for. */
  jobs: Jobs | null;
  log: Action[] | null;
  costs: Costs | null;
  form: Form | null;
  fleet: Fleet | null;
  /** What a dry run said would be done. */
  plan: { freed: number; actions: Action[] } | null;
  /** What the last batch came to. */
  summary: Summary | null;
  /** What of a change of settings was not taken. */
  refusals: Refusal[];
}

export const empty = (): State => ({
  link: "connecting",
  message: "",
  status: null,
  skew: 0,
  busy: null,
  said: null,
  client: null,
  trail: new Trail(),
  jobs: null,
  log: null,
  costs: null,
  form: null,
  fleet: null,
  plan: null,
  summary: null,
  refusals: [],
});

/** Seconds by which a status may be older than the one shown and still count as one that was overtaken. */
const OVERTAKEN = 5;
/** Milliseconds for which the outcome of a command stays. */
export const SAID_FOR = 12_000;

export type Happening =
  | { type: "answer"; answer: Answer; now: number }
  | { type: "pushed"; data: unknown; now: number }
  | { type: "action"; data: unknown }
  | { type: "loaded"; part: Partial<State> }
  | { type: "reconnecting" }
  | { type: "busy"; place: Place }
  | { type: "said"; place: Place; ok: boolean; text: string; now: number }
  | { type: "tick"; now: number };

/** The state after `happening`; the very same object where nothing changed. `now`: milliseconds on this machine's clock. */
export function after(state: State, happening: Happening): State {
  switch (happening.type) {
    case "answer":
      if (happening.answer.kind === "ok") return received(state, happening.answer.data, happening.now);
      if (happening.answer.kind === "refused") return { ...state, link: "refused", message: happening.answer.message };
      return { ...state, link: happening.answer.kind === "missing" ? "missing" : "lost" };
    case "pushed":
      return received(state, happening.data, happening.now);
    case "action":
      return acted(state, readAction(happening.data));
    case "loaded":
      return { ...state, ...happening.part };
    case "reconnecting":
      return state.link === "live" ? { ...state, link: "lost" } : state;
    case "busy":
      return { ...state, busy: happening.place, said: null };
    case "said":
      return { ...state, busy: null, said: { place: happening.place, ok: happening.ok, text: happening.text, at: happening.now } };
    case "tick":
      return state.said && happening.now - state.said.at >= SAID_FOR ? { ...state, said: null } : state;
  }
}

/** Actions that are kept for the log. */
const LOGGED = 200;

function acted(state: State, action: Action): State {
  if (!state.status) return state;
  state.trail.act(action);
  const log = state.log && [...state.log, action].slice(-LOGGED);
  return { ...state, log, status: { ...state.status, lastAction: action } };
}

function received(state: State, data: unknown, now: number): State {
  const status = readStatus(data);
  if (!status) return { ...state, link: "refused", message: "" };
  const behind = state.status ? state.status.time - status.time : 0;
  if (state.link === "live" && behind > 0 && behind < OVERTAKEN) return state;
  state.trail.add(status);
  return { ...state, link: "live", message: "", status, skew: skewAfter(state, status.time, now) };
}

/**
 * A status tells when it was sampled, which is a little before it was sent: the largest difference seen is the nearest to
 * the truth. A much smaller one means that a clock was set.
 */
function skewAfter(state: State, time: number, now: number): number {
  if (!time) return state.skew;
  const seen = time - now / 1000;
  return state.status && seen > state.skew - CLOCK_SET ? Math.max(state.skew, seen) : seen;
}

/** Whether this is the dashboard of a batch runner, which serves no status of its own. */
export const onRunner = (state: State): boolean => state.fleet !== null && state.status === null;

/** The server's clock in seconds, when this machine's shows `now` milliseconds. */
export const serverTime = (state: State, now: number): number => now / 1000 + state.skew;

/** Which part is behind: `older` or `newer` server part than panel, null where they agree or it cannot be told. */
export function versionGap(server: string, panel: string): "older" | "newer" | null {
  if (!server || server === panel) return null;
  const [a, b] = [server, panel].map((version) => version.split(/[.+-]/).map(Number)) as [number[], number[]];
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference) return difference < 0 ? "older" : "newer";
  }
  return null;
}
