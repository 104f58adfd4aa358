import type { Strength } from "./costs";
import type { Formats } from "./format";
import type { Texts } from "./i18n";
import type { State } from "./state";

/** What a part of the panel needs to show itself. */
export interface Context {
  state: State;
  texts: Texts;
  formats: Formats;
  /** Seconds since the epoch on the server's clock. */
  now: number;
}

/** A part of the panel: built once, then updated in place. A new part needs a file in `views/` and a line in `panel.ts`. */
export interface View {
  readonly element: HTMLElement;
  update(context: Context): void;
}

/** What is only asked for once somebody wants to see it. */
export type Wanted = "log" | "costs" | "form";

/** What the user is asked before something is lost: a title, a sentence, and what. */
export type Question = [title: string, text: string, items: string[]];

/** What the buttons do. */
export interface Deeds {
  free(strength: Strength, dryRun: boolean): void;
  pause(): void;
  resume(): void;
  /** Let the running job end, and start no other. */
  stop(): void;
  /** Queue failed jobs again: these, or all. */
  retry(ids?: string[]): void;
  /** Put back what an earlier run left: these, or all. */
  restore(ids?: string[]): void;
  /** Forget it, once the user agrees. */
  discard(ids: string[] | undefined, question: Question): void;
  /** Let a job that is set aside run again. */
  release(id: string): void;
  /** Change settings: `["ram.warning", 0.8]`. */
  change(changes: readonly (readonly [string, unknown])[], place: "settings" | "thresholds"): void;
  /** All settings back to their defaults, once the user agrees to lose `items`; false where not. */
  reset(items: string[]): Promise<boolean>;
  /** Something that only the panel knows has changed: show it. */
  redraw(): void;
  /** Whether somebody looks at this. */
  want(what: Wanted, wanted: boolean): void;
  /** Somebody who looked at this before comes back to it. */
  again(what: Wanted): void;
  /** Jobs older than those shown. */
  older(): void;
  /** Ask the browser whether it may tell the end of a batch; `drawn` when it has answered. */
  allowNotices(): void;
}
