/** uPlot, set up for the time line: shares of RAM and VRAM over time, tiers behind, jobs below, actions above. */
import UPlot from "uplot";
import type { Tiers } from "../status";
import type { ActionMark, JobMark } from "../trail";
import { TIERS } from "./thresholds";

/** Colours as the canvas needs them: resolved. */
export interface Colors {
  lines: string[];
  text: string;
  grid: string;
  warning: string;
  critical: string;
  emergency: string;
  normal: string;
  job: string;
}

export interface Scene {
  /** Seconds since the epoch, rising; then percents by line. */
  data: UPlot.AlignedData;
  from: number;
  to: number;
  tiers: Tiers | null;
  jobs: readonly JobMark[];
  actions: readonly ActionMark[];
  colors: Colors;
  clock: (time: number) => string;
}

const FONT = "10px system-ui, sans-serif";
/** CSS pixels. */
const STRIP = 5;
const MARK = 4;
export const HEIGHT = 132;

export class Plot {
  private readonly plot: UPlot;

  /** @param pointed told the index of the point under the pointer, null when it has left. */
  constructor(
    parent: HTMLElement,
    width: number,
    private scene: Scene,
    pointed: (index: number | null) => void,
  ) {
    const text = (): string => this.scene.colors.text;
    const grid = { stroke: (): string => this.scene.colors.grid, width: 1 };
    const line = (_: unknown, at: number): UPlot.Series => ({
      stroke: () => this.scene.colors.lines[at] ?? text(),
      width: 1.5,
      spanGaps: true,
      points: { show: false },
    });
    this.plot = new UPlot(
      {
        width,
        height: HEIGHT,
        legend: { show: false },
        padding: [8, 16, 0, 0],
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { x: { time: true, range: () => [this.scene.from, this.scene.to] }, y: { range: [0, 100] } },
        axes: [
          { stroke: text, font: FONT, size: 20, gap: 2, space: 60, grid: { show: false }, ticks: { show: false }, values: (_u, times) => times.map(this.scene.clock) },
          { stroke: text, font: FONT, size: 32, gap: 3, grid, ticks: { show: false }, splits: () => [0, 50, 100], values: (_u, shares) => shares.map((share) => `${share}%`) },
        ],
        series: [{}, ...scene.data.slice(1).map(line)],
        hooks: { drawAxes: [(u) => this.drawTiers(u)], draw: [(u) => this.drawMarks(u)], setCursor: [(u) => pointed(u.cursor.idx ?? null)] },
      },
      scene.data,
      parent,
    );
  }

  /** How many lines it was set up for. */
  get lines(): number {
    return this.plot.series.length - 1;
  }

  update(scene: Scene): void {
    this.scene = scene;
    this.plot.setData(scene.data);
  }

  resize(width: number): void {
    if (width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  /** Put the cursor on a point, or take it away. */
  point(index: number | null): void {
    const time = index === null ? undefined : this.scene.data[0][index];
    this.plot.setCursor({ left: time === undefined ? -10 : this.plot.valToPos(time, "x"), top: time === undefined ? -10 : 1 });
  }

  destroy(): void {
    this.plot.destroy();
  }

  private drawTiers({ ctx, bbox, valToPos }: UPlot): void {
    const { tiers, colors } = this.scene;
    if (!tiers) return;
    ctx.save();
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.lineWidth = devicePixelRatio;
    for (const tier of TIERS) {
      const y = Math.round(valToPos(Math.min(1, tiers[tier]) * 100, "y", true));
      ctx.strokeStyle = colors[tier];
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.restore();
  }

  private drawMarks({ ctx, bbox, valToPos }: UPlot): void {
    const { jobs, actions, colors, from, to } = this.scene;
    const ratio = devicePixelRatio;
    const bottom = bbox.top + bbox.height;
    const x = (time: number): number => valToPos(Math.min(to, Math.max(from, time)), "x", true);
    ctx.save();
    for (const { start, end, ok } of jobs) {
      if ((end ?? to) < from || start > to) continue;
      const [left, right] = [x(start), x(end ?? to)];
      ctx.fillStyle = ok === false ? colors.emergency : colors.job;
      // A gap between two jobs, and even the shortest can be seen.
      ctx.fillRect(left, bottom - STRIP * ratio, Math.max(ratio, right - left - ratio), STRIP * ratio);
    }
    for (const { time, level } of actions) {
      if (time < from || time > to) continue;
      const at = x(time);
      ctx.fillStyle = colors[level];
      ctx.beginPath();
      ctx.moveTo(at - MARK * ratio, bbox.top - 7 * ratio);
      ctx.lineTo(at + MARK * ratio, bbox.top - 7 * ratio);
      ctx.lineTo(at, bbox.top);
      ctx.fill();
    }
    ctx.restore();
  }
}
