/** What the panel needs of the program around it. `comfy.ts` and `page.ts` implement it; tests fake it. */

import type { Refusal } from "./form";
import type { Level } from "./levels";

/** Names of what a shell tells. */
export interface ShellEvents {
  /** A status pushed by the server: the same object as `GET /resource_gate/status`. */
  status: unknown;
  /** An action that was just taken: the same object as `last_action` in the status. */
  action: unknown;
  /** Something happened to a job or to the batch: see `readBatchEvent`. */
  batch: unknown;
  /** The line to the server broke; the shell is trying to get it back. */
  reconnecting: null;
  /** The line is back: what was pushed in between is lost. */
  reconnected: null;
  /** Something in the queue has changed, whatever it is. */
  queue: null;
}

/** An answer of the server, never an exception. */
export type Answer =
  | { kind: "ok"; data: unknown }
  /** No answer at all. */
  | { kind: "unreachable" }
  /** The server runs, but does not know the route: our part is not loaded. */
  | { kind: "missing" }
  /** Any other error, with what the server said. */
  | { kind: "refused"; message: string; fields?: Refusal[] };

export interface Command {
  /** `ResourceGate.Free` and the like. */
  id: string;
  icon: string;
  /** English; ComfyUI translates it by `commands.json`. */
  label: string;
  run(): Promise<Outcome | null>;
}

/** A key and what it is held with. */
export interface Keybinding {
  key: string;
  alt: boolean;
  shift: boolean;
}

/** What came of a command, in words. */
export interface Outcome {
  ok: boolean;
  text: string;
}

/** What there is to show, and how to show it. */
export interface Contribution {
  id: string;
  icon: string;
  /** Load the texts in the user's language; to be awaited before anything else here is used. */
  ready(): Promise<void>;
  title(): string;
  tooltip(): string;
  commands: readonly Command[];
  /** Opens and closes the panel. */
  keybinding: Keybinding;
  /** Show the panel in `element`; calling it again with the same one changes nothing. */
  mount(element: HTMLElement): void;
  unmount(): void;
  /** The user has turned the badge on the icon on or off. */
  badgeWanted(wanted: boolean): void;
  /** And the entry beside Run. */
  entryWanted(wanted: boolean): void;
}

/** What a person must know, wherever they look. */
export interface News {
  severity: "info" | "warn" | "error";
  text: string;
}

/** What the entry beside Run shows. */
export interface Entry {
  level: Level | "unknown";
  /** One word, and the sentence behind it. */
  word: string;
  why: string;
}

export interface Shell {
  /** The id the server knows our WebSocket by; null until it has one. */
  clientId(): string | null;
  get(route: string): Promise<Answer>;
  post(route: string, body: object): Promise<Answer>;
  on<K extends keyof ShellEvents>(event: K, listener: (data: ShellEvents[K]) => void): () => void;
  /** The language the user has chosen, as `en` or `pt-BR`. */
  locale(): string;
  /** The texts of all extensions: locale → tree. Empty where they cannot be had. */
  translations(): Promise<Record<string, unknown>>;
  /** Whether the place the panel is mounted in is the one being shown. */
  active(): boolean;
  /** Offer the panel to the user. */
  present(contribution: Contribution): void;
  /** A short mark on the icon; null for none. */
  badge(mark: string | null): void;
  /** Show the level beside Run; null takes the entry away. */
  entry(entry: Entry | null): void;
  /** Open the panel, or close it. */
  toggle(): void;
  /** Ask before something is lost; `items` tell what. */
  confirm(title: string, text: string, items: string[]): Promise<boolean>;
  /** Say something outside the panel. */
  toast(news: News): void;
  /** Whether this is a page of its own, which may stand on a batch runner's dashboard. */
  readonly standalone: boolean;
}
