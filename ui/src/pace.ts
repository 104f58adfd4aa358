/** When to draw: in a frame of the browser's, at most twice a second, at once where it matters. */

/** Milliseconds between two drawings: nobody reads numbers faster. */
export const PACE = 500;

export class Pace {
  private frame: number | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private last = -Infinity;
  private on = false;

  constructor(private readonly draw: () => void) {}

  /** Draw from now on, or no longer; nothing is drawn that nobody sees. */
  allow(on: boolean): void {
    this.on = on;
    this.cancel();
    if (on) this.soon(true);
  }

  /** Something has changed; `urgent`: do not wait for the pace. */
  soon(urgent = false): void {
    if (!this.on || this.frame !== null || (this.timer !== null && !urgent)) return;
    const wait = urgent ? 0 : this.last + PACE - performance.now();
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
