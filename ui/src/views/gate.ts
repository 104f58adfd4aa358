import { h, setAttr, setOptional, setText, show } from "../dom";
import { Sign } from "../icons";
import type { Status } from "../status";
import type { Context, Deeds, View } from "../view";
import { Bar } from "./bar";
import { Card } from "./card";

/** What the gate does, why and until when; pause, resume, free. */
export class Gate implements View {
  private readonly card = new Card("gate");
  readonly element = this.card.element;
  private readonly reason = h("p", { class: "rg-reason" });
  private readonly bar = new Bar();
  private readonly waited = h("span");
  private readonly until = h("span");
  private readonly times = h("p", { class: "rg-row rg-muted" }, this.waited, this.until);
  private readonly holdSign = new Sign("pause");
  private readonly holdWord = h("span");
  private readonly hold: HTMLButtonElement;
  private readonly freeWord = h("span");
  private readonly free: HTMLButtonElement;
  private readonly said = h("p", { class: "rg-said", attrs: { role: "status" } });
  private paused = false;
  private usable = false;

  constructor(deeds: Deeds) {
    this.hold = h(
      "button",
      { class: "rg-button", attrs: { type: "button" }, on: { click: () => this.usable && (this.paused ? deeds.resume() : deeds.pause()) } },
      this.holdSign.element,
      this.holdWord,
    );
    this.free = h(
      "button",
      { class: "rg-button", attrs: { type: "button" }, on: { click: () => this.usable && deeds.free() } },
      new Sign("eject").element,
      this.freeWord,
    );
    this.hold.dataset.deed = "hold";
    this.free.dataset.deed = "free";
    this.card.side.classList.add("rg-pill");
    this.card.body.append(this.reason, this.bar.element, this.times, h("div", { class: "rg-buttons" }, this.hold, this.free), this.said);
  }

  update(context: Context): void {
    const { state, texts } = context;
    const gate = state.status?.gate ?? null;
    this.card.head(texts.t("gate.heading"), gate ? texts.t(`gate.state.${gate.state}`) : "");
    setAttr(this.element, "data-gate", gate?.state ?? "unknown");
    this.paused = gate?.state === "paused";
    const said = gate?.state === "waiting" ? gate.reason : "";
    setOptional(this.reason, gate ? said || texts.t(`gate.why.${gate.state}`) : "");
    this.updateTimes(gate, context);
    this.updateButtons(context);
    setOptional(this.said, state.said?.text ?? "");
    setAttr(this.said, "data-ok", state.said ? String(state.said.ok) : null);
  }

  private updateTimes(gate: Status["gate"] | null, { texts, formats, now, state }: Context): void {
    const held = gate !== null && gate.state !== "open" && gate.since !== null ? gate : null;
    show(this.times, held !== null);
    show(this.bar.element, held?.state === "waiting" && held.until !== null);
    if (!held || held.since === null) return;
    const time = formats.duration(now - held.since);
    setText(this.waited, texts.t(held.state === "paused" ? "gate.pausedFor" : "gate.waited", { time }));
    if (held.state === "paused") return setText(this.until, "");
    if (held.until === null) return setText(this.until, texts.t("gate.noUntil"));
    const left = held.until - now;
    const values = { clock: formats.clock(held.until - state.skew), time: formats.duration(left) };
    setText(this.until, left > 0 ? texts.t("gate.until", values) : texts.t("gate.overdue"));
    this.bar.update((now - held.since) / Math.max(0.001, held.until - held.since), texts.t("gate.waitLabel"));
  }

  private updateButtons({ state, texts }: Context): void {
    this.usable = state.link === "live" && state.busy === null;
    for (const button of [this.hold, this.free]) {
      // Not `disabled`: the button would lose the keyboard's focus in mid-use.
      setAttr(button, "aria-disabled", this.usable ? null : "true");
    }
    this.holdSign.set(this.paused ? "play" : "pause");
    setText(this.holdWord, texts.t(this.paused ? "gate.resume" : "gate.pause"));
    setAttr(this.hold, "title", texts.t(this.paused ? "gate.resumeHint" : "gate.pauseHint"));
    setAttr(this.hold, "data-primary", this.paused ? "" : null);
    setText(this.freeWord, texts.t(state.busy === "free" ? "free.busy" : "free.button"));
    setAttr(this.free, "title", texts.t("free.hint"));
    setAttr(this.free, "aria-busy", state.busy === "free" ? "true" : null);
  }
}
