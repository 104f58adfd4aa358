/** The last hour of RAM and VRAM, with its jobs and actions: what the time line draws. Kept in place, bounded. */
import { readAction, type Action } from "./action";
import type { Line } from "./chart";
import { list, maybe, number, object, text } from "./read";
import type { Status } from "./status";
import { kindOf } from "./tiers";

/** Seconds that are kept; the server keeps as many. */
export const SPAN = 3600;

/** Seconds: no status is this old, so a clock that differs by more from before was set. */
export const CLOCK_SET = 90;

export interface JobMark {
  id: string;
  title: string;
  start: number;
  end: number | null;
  ok: boolean | null;
}

export class Trail {
  /** Whole seconds since the epoch, rising. */
  readonly times: number[] = [];
  readonly lines = new Map<string, Line>();
  jobs: JobMark[] = [];
  actions: Action[] = [];
  /** Rises with each change. */
  revision = 0;
  /** Rises with each change of the past. */
  loads = 0;

  /** The time of the last point; 0 without any. */
  get last(): number {
    return this.times.at(-1) ?? 0;
  }

  /** Take in what `GET history` told; points that are known stay. */
  load(data: unknown): void {
    const points = (Array.isArray(data) ? data : list(object(data).points)).map(object);
    const fresh = points.filter((point) => number(point.time) > 0).sort((a, b) => number(a.time) - number(b.time));
    // History may begin before what was pushed since the panel opened: build anew from both.
    const pushed = this.times.map((time, at) => ({ time, at, values: [...this.lines].map(([key, line]) => [key, line.used[at], line.limit[at]] as const) }));
    this.times.length = 0;
    this.lines.clear();
    const end = Math.floor(number(fresh.at(-1)?.time));
    const older = pushed.filter((point) => point.time < Math.floor(number(fresh[0]?.time)) || !fresh.length);
    for (const point of older) this.put(point.time, point.values);
    for (const point of fresh) {
      const keys = Object.keys(point).filter((key) => key === "ram" || /^vram\d+$/.test(key));
      this.put(number(point.time), keys.map((key) => [key, maybe(point[key]), maybe(point[`${key}_limit`])] as const));
    }
    if (fresh.length) for (const point of pushed) if (point.time > end) this.put(point.time, point.values);
    this.revision++;
    this.loads++;
  }

  /** Take in what `GET history/marks` told. */
  loadMarks(data: unknown): void {
    const marks = object(data);
    this.jobs = list(marks.jobs).map((one) => {
      const job = object(one);
      return {
        id: text(job.id),
        title: text(job.title) || text(job.id).slice(0, 8),
        start: number(job.start),
        end: maybe(job.end),
        ok: typeof job.ok === "boolean" ? job.ok : null,
      };
    });
    this.actions = list(marks.actions).map(readAction);
    this.revision++;
    this.loads++;
  }

  /** Take in an action; those of the last hour stay. */
  act(action: Action): void {
    this.actions = [...this.actions.filter((one) => one.time >= action.time - SPAN), action];
    this.revision++;
  }

  /** Take in a status; readings of one second become one point, which keeps the highest. */
  add(status: Status): void {
    const shown = status.resources.filter(({ key }) => ["ram", "vram"].includes(kindOf(key)));
    if (!shown.length) return;
    if (status.time < this.last - CLOCK_SET) this.beginAnew();
    if (status.time < this.last) return;
    this.put(status.time, shown.map(({ key, used, limit }) => [key, used, limit] as const));
    this.revision++;
  }

  /** What was told by another clock cannot stand beside what this one tells. */
  private beginAnew(): void {
    this.times.length = 0;
    this.lines.clear();
    this.loads++;
  }

  private put(time: number, values: readonly (readonly [string, number | null | undefined, number | null | undefined])[]): void {
    const second = Math.floor(time);
    if (second !== this.last) {
      this.times.push(second);
      for (const line of this.lines.values()) {
        line.used.push(null);
        line.limit.push(null);
      }
    }
    const at = this.times.length - 1;
    for (const [key, used, limit] of values) {
      let line = this.lines.get(key);
      if (!line) this.lines.set(key, (line = { used: this.times.map(() => null), limit: this.times.map(() => null) }));
      if (used != null) line.used[at] = Math.max(used, line.used[at] ?? 0);
      if (limit != null) line.limit[at] = limit;
    }
    this.prune(second - SPAN);
  }

  private prune(from: number): void {
    // In bunches: taking single items off the front of an array costs its length each time.
    if ((this.times[0] ?? from) >= from - 60) return;
    const gone = this.times.findIndex((time) => time >= from);
    this.times.splice(0, gone);
    for (const line of this.lines.values()) {
      line.used.splice(0, gone);
      line.limit.splice(0, gone);
    }
  }
}
