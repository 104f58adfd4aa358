/** The one place that decides when: when what was pushed is taken in, and when the panel is drawn. */

/** Milliseconds between two drawings while all is well: figures that move faster are not read. */
export const PACE = 2000;
/** While a level is raised or the gate waits. A little less than a second: seconds that are counted do not fall behind. */
export const LIVE_PACE = 900;
/** Milliseconds between two readings that are looked into. A level that rises waits no longer than this to be seen. */
export const INTAKE = 300;

/** The time, in milliseconds, and what is to happen later. */
export interface Clock {
  now(): number;
  /** Calls `act` after so many milliseconds; what it gives back takes that back. */
  later(act: () => void, wait: number): () => void;
}

export const browserClock: Clock = {
  now: () => performance.now(),
  later(act, wait) {
    const timer = setTimeout(act, wait);
    return () => clearTimeout(timer);
  },
};

/**
 * Readings come up to ten times a second and each replaces the one before: the first after a rest is taken in at once,
 * of the others the newest, every `INTAKE`.
 */
export class Intake<T> {
  private newest: { reading: T } | null = null;
  private cancel: (() => void) | null = null;
  private last = -Infinity;

  /** @param take looks into a reading. */
  constructor(
    private readonly take: (reading: T) => void,
    private readonly clock: Clock = browserClock,
  ) {}

  /** A reading has come. */
  offer(reading: T): void {
    this.newest = { reading };
    if (this.cancel) return;
    const wait = this.last + INTAKE - this.clock.now();
    if (wait > 0) this.cancel = this.clock.later(() => this.flush(), wait);
    else this.flush();
  }

  /** Take in what waits: something else has come, and the order stays. */
  flush(): void {
    this.cancel?.();
    this.cancel = null;
    const { newest } = this;
    if (!newest) return;
    this.newest = null;
    this.last = this.clock.now();
    this.take(newest.reading);
  }
}

/** Draws every two seconds, each second while memory is short, at once where it matters; never what nobody sees. */
export class Pace {
  private cancel: (() => void) | null = null;
  private hurried = false;
  private last = -Infinity;
  private on = false;

  /** @param live tells whether what is shown is followed: a level is raised, or the gate waits. */
  constructor(
    private readonly draw: () => void,
    private readonly live: () => boolean = () => false,
    private readonly clock: Clock = browserClock,
  ) {}

  /** Draw from now on, or no longer. */
  allow(on: boolean): void {
    this.on = on;
    this.stop();
    if (on) this.soon(true);
  }

  /** Something has changed; `urgent`: do not wait for the pace. */
  soon(urgent = false): void {
    if (!this.on || (this.cancel && (this.hurried || !urgent))) return;
    this.stop();
    this.hurried = urgent;
    const due = this.last + (this.live() ? LIVE_PACE : PACE);
    // Not by requestAnimationFrame: that has the browser make a frame, even where nothing will have changed.
    this.cancel = this.clock.later(() => this.now(), urgent ? 0 : Math.max(0, due - this.clock.now()));
  }

  private now(): void {
    this.stop();
    this.last = this.clock.now();
    this.draw();
  }

  private stop(): void {
    this.cancel?.();
    this.cancel = null;
    this.hurried = false;
  }
}
