import { h, setAttr, setOptional, setText, setVar, show } from "../dom";
import type { Level } from "../levels";
import type { Tiers } from "../status";
import type { Context } from "../view";
import { Thresholds, type Tier } from "./thresholds";

export interface Reading {
  name: string;
  usage: string;
  percent: string;
  /** 0–1, or above. */
  fraction: number;
  level: Level;
  tiers: Tiers | null;
  /** What a screen reader says. */
  value: string;
  /** Small print below, and its long form. */
  caption: string;
  hint: string;
  /** What the marks mean. */
  marks: string;
  /** Whether the marks can be moved here. */
  adjustable: boolean;
}

/** One resource against its limit, with a mark where each level begins. */
export class Meter {
  private readonly name = h("span", { class: "rg-name" });
  private readonly usage = h("span", { class: "rg-usage" });
  private readonly percent = h("span", { class: "rg-percent" });
  private readonly marks = h("span", { class: "rg-marks" }, h("i"), h("i"), h("i"));
  private readonly track = h(
    "div",
    { class: "rg-meter", attrs: { role: "meter", "aria-valuemin": "0", "aria-valuemax": "100" } },
    h("span", { class: "rg-fill" }),
    this.marks,
  );
  private readonly caption = h("p", { class: "rg-caption" });
  private readonly thresholds: Thresholds;
  readonly element: HTMLElement;

  /** @param change sends a mark that was moved. */
  constructor(change: (tier: Tier, share: number) => void) {
    this.thresholds = new Thresholds((tiers) => this.mark(tiers), change);
    this.element = h(
      "div",
      { class: "rg-resource" },
      h("div", { class: "rg-line" }, this.name, this.usage, this.percent),
      this.track,
      this.thresholds.element,
      this.caption,
    );
  }

  update(reading: Reading, context: Context): void {
    setText(this.name, reading.name);
    setText(this.usage, reading.usage);
    setText(this.percent, reading.percent);
    setAttr(this.element, "data-level", reading.level);
    const shown = Math.min(1, Math.max(0, reading.fraction));
    setVar(this.track, "--at", `${(shown * 100).toFixed(1)}%`);
    setAttr(this.track, "aria-valuenow", String(Math.round(shown * 100)));
    setAttr(this.track, "aria-label", reading.name);
    setAttr(this.track, "aria-valuetext", reading.value);
    setAttr(this.track, "title", reading.marks || null);
    show(this.marks, reading.tiers !== null);
    const { tiers } = reading;
    const adjusting = reading.adjustable && tiers !== null;
    show(this.thresholds.element, adjusting);
    this.mark(tiers ?? {});
    if (adjusting) this.thresholds.update(reading.name, tiers, context);
    setOptional(this.caption, reading.caption);
    setAttr(this.caption, "title", reading.hint || null);
  }

  private mark(tiers: Partial<Tiers>): void {
    for (const [name, share] of Object.entries(tiers)) setVar(this.track, `--${name}`, `${Math.min(100, share * 100).toFixed(1)}%`);
  }
}
