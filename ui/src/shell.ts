/** What the panel needs of the program around it. `comfy.ts` and `page.ts` implement it; tests fake it. */

/** Names of what a shell tells. */
export interface ShellEvents {
  /** A status pushed by the server: the same object as `GET /resource_gate/status`. */
  status: unknown;
  /** An action that was just taken: the same object as `last_action` in the status. */
  action: unknown;
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
  | { kind: "refused"; message: string };

export interface Command {
  /** `ResourceGate.Free` and the like. */
  id: string;
  icon: string;
  /** English; ComfyUI translates it by `commands.json`. */
  label: string;
  run(): Promise<Outcome>;
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
  /** Show the panel in `element`; calling it again with the same one changes nothing. */
  mount(element: HTMLElement): void;
  unmount(): void;
  /** The user has turned the badge on the icon on or off. */
  badgeWanted(wanted: boolean): void;
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
}
