import { h, setAttr, setOptional, setText, show } from "../dom";
import type { Status } from "../status";
import type { Context, Deeds, View } from "../view";
import { Bar } from "./bar";
import { Button, ready, Said } from "./button";
import { Card } from "./card";
import { gateWhy } from "./words";

/** What the gate does, why and until when; pause, resume, stop after the running job. */
export class Gate implements View {
  private readonly card = new Card("gate");
  readonly element = this.card.element;
  private readonly reason = h("p", { class: "rg-reason" });
  private readonly bar = new Bar();
  private readonly waited = h("span");
  private readonly until = h("span");
  private readonly times = h("p", { class: "rg-row rg-muted" }, this.waited, this.until);
  private readonly hold: Button;
  private readonly stop: Button;
  private readonly said = new Said(["gate"]);
  private held = false;

  constructor(deeds: Deeds) {
    this.hold = new Button("hold", () => (this.held ? deeds.resume() : deeds.pause()), "pause");
    this.stop = new Button("stop", () => deeds.stop(), "stop");
    this.card.side.classList.add("rg-pill");
    const buttons = h("div", { class: "rg-buttons" }, this.hold.element, this.stop.element);
    this.card.body.append(this.reason, this.bar.element, this.times, buttons, this.said.element);
  }

  update(context: Context): void {
    const { state, texts } = context;
    const gate = state.status?.gate ?? null;
    const stopping = gate !== null && gate.state !== "paused" && state.status?.batch.stopping === true;
    const shown = stopping ? "stopping" : gate?.state;
    this.card.head(texts.t("gate.heading"), shown ? texts.t(`gate.state.${shown}`) : "");
    setAttr(this.element, "data-gate", shown ?? "unknown");
    this.held = gate?.state === "paused" || stopping;
    const why = gate?.state === "waiting" && !stopping && state.status ? gateWhy(state.status, texts, context.formats) : "";
    setOptional(this.reason, shown ? why || texts.t(`gate.why.${shown}`) : "");
    this.updateTimes(stopping ? null : gate, context);
    const usable = ready(state);
    this.hold.update(texts.t(this.held ? "gate.resume" : "gate.pause"), usable, {
      hint: texts.t(this.held ? "gate.resumeHint" : "gate.pauseHint"),
      sign: this.held ? "play" : "pause",
      primary: this.held,
    });
    this.stop.update(texts.t("gate.stop"), usable, { hint: texts.t("gate.stopHint") });
    show(this.stop.element, !this.held && (state.status?.queue.running ?? 0) > 0 && (state.status?.queue.pending ?? 0) > 0);
    this.said.update(state);
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
}
