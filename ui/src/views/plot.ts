/**
 * The time line as an SVG: shares of RAM and VRAM over time, tiers behind, jobs below, actions above. Its colours are the
 * style sheet's, so a new palette needs no new drawing; what is the same as before is not written again.
 */
import { linePath, nearest, ticks, xOf, yOf, type Frame } from "../chart";
import { s, setAttr, setText } from "../dom";
import { LEVELS } from "../levels";
import type { Tiers } from "../status";
import type { Trail } from "../trail";
import { TIERS } from "./thresholds";

export interface Scene {
  trail: Trail;
  /** Seconds since the epoch. */
  from: number;
  to: number;
  tiers: Tiers | null;
  /** Seconds that the clock of the labels is behind. */
  skew: number;
  clock: (time: number) => string;
  percent: (share: number) => string;
}

export const HEIGHT = 132;
/** CSS pixels around the lines: for the marks of actions, and for the labels. */
const [TOP, RIGHT, BOTTOM, LEFT] = [8, 16, 20, 32];
const STRIP = 5;
const SHARES = [0, 0.5, 1];

export class Plot {
  private readonly grid = s("path", { class: "rg-grid" });
  private readonly tiers = TIERS.map((tier) => s("path", { "data-kind": tier, "stroke-dasharray": "4 3" }));
  private readonly lines = s("g");
  private readonly jobs = ["job", "emergency"].map((kind) => s("path", { "data-kind": kind, class: "rg-area" }));
  private readonly actions = LEVELS.map((level) => s("path", { "data-kind": level, class: "rg-area" }));
  private readonly cursor = s("path", { class: "rg-cursor" });
  private readonly dots = s("g");
  private readonly labels = s("g");
  /** Cuts off what leaves the frame. */
  private readonly clipped = s("svg", { x: `${LEFT}`, y: `${TOP}` }, ...this.tiers, this.lines, ...this.jobs, this.cursor);
  private readonly above = s("g", { transform: `translate(${LEFT} ${TOP})` }, this.grid, ...this.actions, this.labels);
  readonly element = s(
    "svg",
    { class: "rg-plot", height: `${HEIGHT}`, "aria-hidden": "true" },
    this.above,
    this.clipped,
    s("g", { transform: `translate(${LEFT} ${TOP})` }, this.dots),
  );
  private frame: Frame = { from: 0, to: 1, width: 1, height: HEIGHT - TOP - BOTTOM };
  private scene: Scene | null = null;
  /** The time of the point that is looked at. */
  private looked: number | null = null;

  /** @param pointed told the index of the point that is looked at, null when it is none any more. */
  constructor(private readonly pointed: (index: number | null) => void) {
    this.element.addEventListener("pointermove", ({ clientX }) => {
      const x = clientX - this.element.getBoundingClientRect().left - LEFT;
      this.point(this.scene && nearest(this.scene.trail.times, this.frame, x));
    });
    this.element.addEventListener("pointerleave", () => this.point(null));
  }

  /** @param width of the element, in CSS pixels. */
  draw(scene: Scene, width: number): void {
    this.scene = scene;
    const { trail, from, to, tiers } = scene;
    const frame = (this.frame = { ...this.frame, from, to, width: Math.max(1, width - LEFT - RIGHT) });
    setAttr(this.element, "width", `${width}`);
    setAttr(this.clipped, "width", `${frame.width}`);
    setAttr(this.clipped, "height", `${frame.height}`);
    const across = (share: number): string => `M0 ${yOf(frame, share)}H${frame.width}`;
    setAttr(this.grid, "d", SHARES.map(across).join(""));
    for (const [at, tier] of TIERS.entries()) setAttr(this.tiers[at] as Element, "d", tiers ? across(tiers[tier]) : "");
    const keys = [...trail.lines.keys()];
    for (const [at, path] of children(this.lines, keys.length, "path")) {
      const key = keys[at] as string;
      setAttr(path, "data-kind", key);
      setAttr(path, "d", linePath(trail.times, trail.lines.get(key) as never, frame));
    }
    this.drawMarks(trail, frame);
    this.drawLabels(scene, frame);
    this.drawCursor();
  }

  /** Look at a point, or at none. */
  point(index: number | null): void {
    this.looked = index === null ? null : (this.scene?.trail.times[index] ?? null);
    this.drawCursor();
  }

  private drawMarks({ jobs, actions }: Trail, frame: Frame): void {
    const { from, to, width, height } = frame;
    const x = (time: number): number => Math.min(width, Math.max(0, xOf(frame, time)));
    const strips = ["", ""];
    for (const { start, end, ok } of jobs) {
      if ((end ?? to) < from || start > to) continue;
      const [left, right] = [x(start), x(end ?? to)];
      // A gap between two jobs, and even the shortest can be seen.
      strips[ok === false ? 1 : 0] += `M${left} ${height}v${-STRIP}h${Math.max(1, right - left - 1)}v${STRIP}z`;
    }
    for (const [at, path] of this.jobs.entries()) setAttr(path, "d", strips[at] as string);
    for (const [at, level] of LEVELS.entries()) {
      const now = actions.filter((one) => one.level === level && one.time >= from && one.time <= to);
      setAttr(this.actions[at] as Element, "d", now.map(({ time }) => `M${x(time) - 4} -7h8l-4 7z`).join(""));
    }
  }

  private drawLabels({ clock, percent, skew }: Scene, frame: Frame): void {
    const times = ticks(frame, skew).map((time) => [xOf(frame, time), frame.height + 14, clock(time)] as const);
    const shares = SHARES.map((share) => [-4, yOf(frame, share) + 3, percent(share)] as const);
    const labels = [...shares, ...times];
    for (const [at, label] of children(this.labels, labels.length, "text")) {
      const [x, y, word] = labels[at] as (typeof labels)[number];
      setAttr(label, "text-anchor", at < shares.length ? "end" : "middle");
      setAttr(label, "x", `${x}`);
      setAttr(label, "y", `${y}`);
      setText(label, word);
    }
  }

  private drawCursor(): void {
    const { frame, looked, scene } = this;
    const index = scene && looked !== null && looked >= frame.from ? scene.trail.times.indexOf(looked) : -1;
    const x = index < 0 ? 0 : xOf(frame, looked as number);
    setAttr(this.cursor, "d", index < 0 ? "" : `M${x} 0V${frame.height}`);
    const found = index < 0 ? [] : [...(scene as Scene).trail.lines].filter(([, line]) => line.used[index] != null && line.limit[index]);
    for (const [at, dot] of children(this.dots, found.length, "circle")) {
      const [key, { used, limit }] = found[at] as (typeof found)[number];
      setAttr(dot, "data-kind", key);
      setAttr(dot, "r", "3");
      setAttr(dot, "cx", `${x}`);
      setAttr(dot, "cy", `${yOf(frame, (used[index] as number) / (limit[index] as number))}`);
    }
    this.pointed(index < 0 ? null : index);
  }
}

/** As many children as are needed, those that are there first. */
function children(parent: Element, many: number, tag: "path" | "text" | "circle"): [number, Element][] {
  while (parent.childElementCount > many) parent.lastElementChild?.remove();
  while (parent.childElementCount < many) parent.append(s(tag));
  return [...[...parent.children].entries()];
}
