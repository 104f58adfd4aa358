/** The geometry of the time line: from seconds and bytes to paths of an SVG, and back from a pixel to a point. */

/** Bytes used and the limit, by point; null where it was not measured. */
export interface Line {
  used: (number | null)[];
  limit: (number | null)[];
}

/** The part of the time line that is shown, and the pixels it is shown on. */
export interface Frame {
  /** Seconds since the epoch. */
  from: number;
  to: number;
  width: number;
  height: number;
}

/** Tenths of a pixel are all that can be seen. */
const tenth = (value: number): number => Math.round(value * 10) / 10;

export const xOf = ({ from, to, width }: Frame, time: number): number => tenth(((time - from) / (to - from)) * width);
export const yOf = ({ height }: Frame, share: number): number => tenth((1 - Math.min(1, share)) * height);

/**
 * A line of shares, as the `d` of a path: where a column of pixels holds several points, what can be seen of them: the
 * first, the lowest, the highest, the last. Points that were not measured are bridged; one before the frame leads into it.
 */
export function linePath(times: readonly number[], { used, limit }: Line, frame: Frame): string {
  let path = "";
  let column: number[] = [];
  let at = NaN;
  const flush = (): void => {
    const seen = [column[0], Math.min(...column), Math.max(...column), column.at(-1)];
    for (const [place, y] of seen.entries()) if (column.length && (!place || y !== seen[place - 1])) path += `${path ? "L" : "M"}${at} ${y}`;
    column = [];
  };
  for (let point = Math.max(0, firstFrom(times, frame.from) - 1); point < times.length; point++) {
    const [amount, most] = [used[point], limit[point]];
    if (amount == null || !most) continue;
    const x = Math.round(xOf(frame, times[point] ?? 0));
    if (x !== at) flush();
    at = x;
    column.push(yOf(frame, amount / most));
  }
  flush();
  return path;
}

/** The first point at `time` or later; the number of points where there is none. */
export function firstFrom(times: readonly number[], time: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The point nearest to a pixel; null without any in the frame. */
export function nearest(times: readonly number[], frame: Frame, x: number): number | null {
  const time = frame.from + (x / frame.width) * (frame.to - frame.from);
  const after = firstFrom(times, time);
  const closer = Math.abs((times[after - 1] ?? Infinity) - time) <= Math.abs((times[after] ?? Infinity) - time) ? after - 1 : after;
  const found = times[closer];
  return found === undefined || found < frame.from || found > frame.to ? null : closer;
}

/** Seconds between two times that are named. */
const STEPS = [60, 120, 300, 600, 900, 1800, 3600];
/** Pixels that a time needs, with the room beside it. */
const ROOM = 58;

/** The times to be named: round ones on a clock that is `skew` seconds behind. */
export function ticks({ from, to, width }: Frame, skew: number): number[] {
  const step = STEPS.find((one) => (one / (to - from)) * width >= ROOM) ?? 3600;
  const found: number[] = [];
  for (let time = Math.ceil((from - skew) / step) * step + skew; time <= to; time += step) found.push(time);
  return found;
}
