import { h, setOptional, setText, show } from "../dom";
import type { Formats } from "../format";
import type { Texts } from "../i18n";
import { summaryText } from "../news";
import type { Batch, Status } from "../status";
import type { Context, Deeds, View } from "../view";
import { Bar } from "./bar";
import { Button, ready, Said } from "./button";
import { Card } from "./card";

/** Seconds between two looks at whether notifications may still be asked for. */
const ASK = 3;

/** How far the batch is: k of n, the running node, what waits and what failed, time left; its jobs; what the last one came to. */
export class Queue implements View {
  private readonly card = new Card("queue");
  readonly element = this.card.element;
  private readonly empty = h("p", { class: "rg-muted" });
  private readonly summary = h("p", { class: "rg-summary" });
  private readonly batch = new Bar();
  private readonly eta = h("p", { class: "rg-row rg-muted" });
  private readonly running = h("span", { class: "rg-muted" });
  private readonly nodeName = h("span", { class: "rg-clip" });
  private readonly nodePercent = h("span", { class: "rg-number" });
  private readonly node = h("p", { class: "rg-row rg-node" }, this.running, this.nodeName, this.nodePercent);
  private readonly nodeBar = new Bar();
  private readonly pending = h("span");
  private readonly failed = h("span", { class: "rg-bad" });
  private readonly retried = h("span");
  private readonly aside = h("span", { class: "rg-bad" });
  private readonly counts = h("p", { class: "rg-row rg-muted rg-counts" }, this.pending, this.failed, this.retried, this.aside);
  private readonly retry: Button;
  private readonly notices: Button;
  private readonly said = new Said(["batch"]);
  private asked = { at: -Infinity, open: false };

  constructor(
    deeds: Deeds,
    private readonly jobs: View,
  ) {
    this.nodeBar.element.classList.add("rg-thin");
    this.retry = new Button("retry", () => deeds.retry(), "again");
    this.notices = new Button("notices", () => deeds.allowNotices(), "bell");
    this.card.body.append(
      this.empty,
      this.summary,
      this.batch.element,
      this.eta,
      this.node,
      this.nodeBar.element,
      this.counts,
      h("div", { class: "rg-buttons" }, this.retry.element, this.notices.element),
      this.said.element,
      jobs.element,
    );
  }

  update(context: Context): void {
    const { state, texts, formats } = context;
    const queue = state.status?.queue ?? null;
    const batch = state.status?.batch ?? state.fleet?.batch ?? null;
    const some = batch !== null && batch.total > 0;
    const of = some ? texts.t("queue.batch", { done: formats.count(batch.done), total: formats.count(batch.total) }) : "";
    this.card.head(texts.t("queue.heading"), of);
    show(this.batch.element, some);
    if (some) this.batch.update((batch.done + batch.failed) / batch.total, texts.t("queue.progress"), batch.failed / batch.total);
    setOptional(this.eta, some ? timeLeft(batch, context) : "");
    this.updateNode(queue, texts, formats);

    const idle = queue !== null && !queue.running && !queue.pending;
    const summary = state.summary ?? state.jobs?.summary ?? null;
    // The summary tells how many failed and how many were tried again.
    const told = idle && summary !== null;
    this.updateCounts(batch && told ? { ...batch, failed: 0, retried: 0 } : batch, queue?.pending, texts, formats);
    setOptional(this.empty, idle ? texts.t(some || summary ? "queue.over" : "queue.empty") : "");
    setOptional(this.summary, told ? summaryText(summary, texts, formats) : "");
    const failed = state.jobs?.retryable ?? batch?.failed ?? 0;
    show(this.retry.element, failed > 0 && state.status !== null);
    this.retry.update(texts.plural("queue.retryFailed", failed, { n: formats.count(failed) }), ready(state));
    show(this.notices.element, !idle && this.mayAsk(context.now));
    this.notices.update(texts.t("queue.notify"), true, { hint: texts.t("queue.notifyHint") });
    this.said.update(state);
    this.jobs.update(context);
  }

  /** Whether the browser has not been asked yet. It takes half a millisecond to tell, so it is not asked at each drawing. */
  private mayAsk(now: number): boolean {
    if (Math.abs(now - this.asked.at) >= ASK) {
      this.asked = { at: now, open: "Notification" in globalThis && Notification.permission === "default" };
    }
    return this.asked.open;
  }

  private updateNode(queue: Status["queue"] | null, texts: Texts, formats: Formats): void {
    const running = queue !== null && queue.running > 0;
    show(this.node, running);
    show(this.nodeBar.element, running);
    if (!running) return;
    setText(this.running, texts.t(queue.node ? "queue.running" : "queue.starting"));
    setText(this.nodeName, queue.node);
    setText(this.nodePercent, queue.progress === null ? "" : formats.percent(queue.progress));
    this.nodeBar.update(queue.progress, texts.t("queue.node"));
  }

  private updateCounts(batch: Batch | null, pending: number | undefined, texts: Texts, formats: Formats): void {
    const count = (key: "queue.pending" | "queue.failed" | "queue.retried" | "queue.aside", n: number | undefined): string =>
      n ? texts.plural(key, n, { n: formats.count(n) }) : "";
    setOptional(this.pending, count("queue.pending", pending));
    setOptional(this.failed, count("queue.failed", batch?.failed));
    setOptional(this.retried, count("queue.retried", batch?.retried));
    setOptional(this.aside, count("queue.aside", batch?.quarantined));
    show(this.counts, [this.pending, this.failed, this.retried, this.aside].some((one) => !one.hidden));
  }
}

/** `about 26 min left (22 min to 31 min), done at 14:32`. */
function timeLeft(batch: Batch, { state, texts, formats, now }: Context): string {
  if (batch.eta === null) return "";
  const time = formats.duration(batch.eta, true);
  const left =
    batch.etaLow !== null && batch.etaHigh !== null && batch.etaHigh - batch.etaLow >= 1
      ? texts.t("queue.etaSpread", { time, low: formats.duration(batch.etaLow, true), high: formats.duration(batch.etaHigh, true) })
      : texts.t("queue.eta", { time });
  return `${left} · ${texts.t("queue.doneAt", { clock: formats.time(now - state.skew + batch.eta) })}`;
}
