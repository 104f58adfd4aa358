/** When the server is asked. Pushed readings cost the server something: it sends them only under a lease. */
import type { Answer } from "./shell";

/** Milliseconds between two renewals; the server's lease lasts 30 s, so that one lost answer does not end it. */
export const RENEW = 15_000;
/** Milliseconds before the first retry; each further one waits twice as long, up to `RENEW`. */
export const RETRY = 1_000;

/** Asks while the panel is seen: at once, then as often as the lease needs; sooner while the server does not answer. */
export class Lease {
  private timer: ReturnType<typeof setTimeout> | null = null;
  private turn = 0;
  private failures = 0;
  private wanted = false;

  /**
   * @param clientId whom the server shall push to; null while the shell does not know yet.
   * @param get asks a route.
   * @param answered is told every answer that still matters.
   */
  constructor(
    private readonly clientId: () => string | null,
    private readonly get: (route: string) => Promise<Answer>,
    private readonly answered: (answer: Answer) => void,
  ) {}

  /** Start or stop asking. */
  hold(wanted: boolean): void {
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    if (wanted) this.now();
    else this.stop();
  }

  /** Ask now, where the lease is held at all: the connection is back. */
  now(): void {
    if (!this.wanted) return;
    this.stop();
    this.failures = 0;
    void this.ask();
  }

  private stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.turn++;
  }

  private async ask(): Promise<void> {
    const turn = ++this.turn;
    const client = this.clientId();
    const route = "/resource_gate/status" + (client ? `?watch=${encodeURIComponent(client)}` : "");
    const answer = await this.get(route);
    if (turn !== this.turn) return;
    this.failures = answer.kind === "ok" ? 0 : this.failures + 1;
    const wait = this.failures ? Math.min(RENEW, RETRY * 2 ** (this.failures - 1)) : client ? RENEW : RETRY;
    this.timer = setTimeout(() => void this.ask(), wait);
    this.answered(answer);
  }
}

/** Milliseconds after a change of the queue until it is looked at: changes come in bunches. */
export const SETTLE = 1_000;

/**
 * Keeps the badge on the icon right while the panel is not seen: looks, without a lease, when the queue changes, and
 * every `RENEW` while there is something to follow. With an empty queue and no badge it asks nothing.
 */
export class Glance {
  private timer: ReturnType<typeof setTimeout> | null = null;
  private last = -Infinity;
  private turn = 0;
  private wanted = false;

  /** @param look asks for the status, and says whether there is something to follow. */
  constructor(
    private readonly look: () => Promise<boolean>,
    private readonly clock: () => number = Date.now,
  ) {}

  allow(wanted: boolean): void {
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    this.turn++;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (wanted) this.plan(SETTLE);
  }

  /** The queue has changed. */
  queueChanged(): void {
    if (this.wanted) this.plan(Math.max(SETTLE, this.last + 5 * SETTLE - this.clock()));
  }

  private due = Infinity;

  private plan(wait: number): void {
    const due = this.clock() + wait;
    if (this.timer !== null) {
      if (this.due <= due) return;
      clearTimeout(this.timer);
    }
    this.due = due;
    this.timer = setTimeout(() => void this.ask(), wait);
  }

  private async ask(): Promise<void> {
    const turn = ++this.turn;
    this.timer = null;
    this.last = this.clock();
    const follow = await this.look();
    if (follow && this.wanted && turn === this.turn && this.timer === null) this.plan(RENEW);
  }
}
