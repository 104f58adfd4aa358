import { h, setAttr, setText, setVar } from "../dom";
import type { Tiers } from "../status";
import type { Context } from "../view";

export const TIERS = ["warning", "critical", "emergency"] as const;
export type Tier = (typeof TIERS)[number];

/** Milliseconds after the last key until a mark that was moved by keys is sent. */
export const SETTLE = 600;
const STEP = 0.01;
const STEPS: Record<string, number> = { ArrowRight: STEP, ArrowUp: STEP, ArrowLeft: -STEP, ArrowDown: -STEP, PageUp: 5 * STEP, PageDown: -5 * STEP };

/** The marks of one meter as handles to drag, to move by keys, or to type. */
export class Thresholds {
  private readonly rail = h("div", { class: "rg-rail" });
  private readonly handles = TIERS.map((tier) => new Handle(tier, this));
  private readonly inputs = h("div", { class: "rg-typed" });
  readonly element = h("div", { class: "rg-thresholds" }, this.rail, this.inputs);
  /** As dragged or typed, until the server has it. */
  private draft: Tiers | null = null;
  private tiers: Tiers = { warning: 0, critical: 0, emergency: 0 };
  private timer: ReturnType<typeof setTimeout> | null = null;

  /**
   * @param moved shows where the marks would be.
   * @param change sends one.
   */
  constructor(
    private readonly moved: (tiers: Tiers) => void,
    private readonly change: (tier: Tier, share: number) => void,
  ) {
    this.rail.append(...this.handles.map((handle) => handle.element));
    this.inputs.append(...this.handles.map((handle) => handle.typed));
  }

  /** @param name of the resource. */
  update(name: string, tiers: Tiers, context: Context): void {
    if (this.timer === null && context.state.busy !== "thresholds" && !this.handles.some((handle) => handle.dragging)) this.draft = null;
    this.tiers = tiers;
    for (const handle of this.handles) handle.update(name, this.current, context);
    if (this.draft) this.moved(this.draft);
  }

  get current(): Tiers {
    return this.draft ?? this.tiers;
  }

  /** The share at a place on the screen, between the marks beside this one. */
  shareAt(x: number): number {
    const { left, width } = this.rail.getBoundingClientRect();
    return Math.round(((x - left) / Math.max(1, width)) * 100) / 100;
  }

  /** Move a mark; `now`: send it, else when the keys have come to rest. */
  move(tier: Tier, share: number, when: "now" | "later" | "never"): void {
    const at = TIERS.indexOf(tier);
    const { current } = this;
    const [below, above] = [TIERS[at - 1], TIERS[at + 1]];
    const bounded = Math.min(above ? current[above] : 1, Math.max(below ? current[below] : STEP, share));
    this.draft = { ...current, [tier]: Math.round(bounded * 1000) / 1000 };
    for (const handle of this.handles) handle.place(this.draft);
    this.moved(this.draft);
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (when === "now") this.send(tier);
    else if (when === "later") this.timer = setTimeout(() => this.send(tier), SETTLE);
  }

  private send(tier: Tier): void {
    this.timer = null;
    if (this.draft && this.draft[tier] !== this.tiers[tier]) this.change(tier, this.draft[tier]);
  }
}

/** One mark: a slider below the meter, and an input. */
class Handle {
  private readonly slider = h("span", { class: "rg-handle", attrs: { role: "slider", tabindex: "0", "aria-valuemin": "1", "aria-valuemax": "100" } });
  private readonly word = h("span");
  private readonly input = h("input", { attrs: { type: "text", inputmode: "decimal" } });
  readonly typed: HTMLElement;
  dragging = false;

  constructor(
    private readonly tier: Tier,
    private readonly owner: Thresholds,
  ) {
    this.typed = h("label", { attrs: { "data-level": tier } }, this.word, h("span", { class: "rg-input" }, this.input, h("span", { class: "rg-unit", text: "%" })));
    setAttr(this.slider, "data-level", tier);
    this.slider.addEventListener("pointerdown", (event) => {
      this.dragging = true;
      this.slider.setPointerCapture(event.pointerId);
      event.preventDefault();
      this.slider.focus();
    });
    this.slider.addEventListener("pointermove", ({ clientX }) => this.dragging && owner.move(tier, owner.shareAt(clientX), "never"));
    this.slider.addEventListener("pointerup", ({ clientX }) => this.drop(() => owner.move(tier, owner.shareAt(clientX), "now")));
    this.slider.addEventListener("pointercancel", () => this.drop(() => undefined));
    this.slider.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("change", () => this.read());
  }

  get element(): HTMLElement {
    return this.slider;
  }

  update(name: string, tiers: Tiers, { texts, formats }: Context): void {
    const level = texts.t(`level.${this.tier}`);
    setText(this.word, level);
    setAttr(this.slider, "aria-label", texts.t("thresholds.mark", { name, level }));
    setAttr(this.input, "aria-label", texts.t("thresholds.mark", { name, level }));
    setAttr(this.slider, "aria-valuetext", formats.percent(tiers[this.tier]));
    setAttr(this.slider, "title", `${level} ${formats.percent(tiers[this.tier])}`);
    this.place(tiers);
  }

  place(tiers: Tiers): void {
    const percent = Math.round(tiers[this.tier] * 1000) / 10;
    setVar(this.slider, "--at", `${percent}%`);
    setAttr(this.slider, "aria-valuenow", String(percent));
    if (document.activeElement !== this.input && this.input.value !== String(percent)) this.input.value = String(percent);
  }

  private drop(act: () => void): void {
    if (!this.dragging) return;
    this.dragging = false;
    act();
  }

  private key(event: KeyboardEvent): void {
    const step = STEPS[event.key];
    if (step === undefined && event.key !== "Home" && event.key !== "End") return;
    event.preventDefault();
    event.stopPropagation(); // ComfyUI has keys of its own.
    const to = step === undefined ? (event.key === "Home" ? 0 : 1) : this.owner.current[this.tier] + step;
    this.owner.move(this.tier, to, "later");
  }

  private read(): void {
    const share = Number(this.input.value.replace(",", ".")) / 100;
    if (this.input.value.trim() && Number.isFinite(share)) this.owner.move(this.tier, share, "now");
    this.input.value = String(Math.round(this.owner.current[this.tier] * 1000) / 10);
  }
}
