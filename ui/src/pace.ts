/** When to draw: in a frame of the browser's, once a second, twice while memory is short, at once where it matters. */

/**
 * Milliseconds between two drawings: about as often as the server measures while a panel is open. A little less than a
 * second, so that seconds that are counted do not fall behind.
 */
export const PACE = 900;
/** The same while a level is raised, when the server measures more often. */
export const RAISED_PACE = 500;

export class Pace {
  private frame: number | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private last = -Infinity;
  private on = false;

  /** @param raised tells whether a level is raised. */
  constructor(
    private readonly draw: () => void,
    private readonly raised: () => boolean = () => false,
  ) {}

  /** Draw from now on, or no longer; nothing is drawn that nobody sees. */
  allow(on: boolean): void {
    this.on = on;
    this.cancel();
    if (on) this.soon(true);
  }

  /** Something has changed; `urgent`: do not wait for the pace. */
  soon(urgent = false): void {
    if (!this.on || this.frame !== null || (this.timer !== null && !urgent)) return;
    const wait = urgent ? 0 : this.last + (this.raised() ? RAISED_PACE : PACE) - performance.now();
    if (wait > 0) this.timer = setTimeout(() => this.next(), wait);
    else this.next();
  }

  private next(): void {
    this.cancel();
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.last = performance.now();
      this.draw();
    });
  }

  private cancel(): void {
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    if (this.timer !== null) clearTimeout(this.timer);
    this.frame = this.timer = null;
  }
}
