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

/** What the buttons do. */
export interface Deeds {
  free(): void;
  pause(): void;
  resume(): void;
  /** Put back what an earlier run left, or forget it. */
  restore(discard: boolean): void;
}
