import { h, setOptional, setText, show } from "../dom";
import type { Formats } from "../format";
import type { Texts } from "../i18n";
import type { Status } from "../status";
import type { Context, View } from "../view";
import { Bar } from "./bar";
import { Card } from "./card";

/** How far the batch is: k of n, the running node, what waits and what failed, time left. */
export class Queue implements View {
  private readonly card = new Card("queue");
  readonly element = this.card.element;
  private readonly empty = h("p", { class: "rg-muted" });
  private readonly batch = new Bar();
  private readonly running = h("span", { class: "rg-muted" });
  private readonly nodeName = h("span", { class: "rg-clip" });
  private readonly nodePercent = h("span", { class: "rg-number" });
  private readonly node = h("p", { class: "rg-row rg-node" }, this.running, this.nodeName, this.nodePercent);
  private readonly nodeBar = new Bar();
  private readonly pending = h("span");
  private readonly failed = h("span", { class: "rg-bad" });
  private readonly retried = h("span");
  private readonly counts = h("p", { class: "rg-row rg-muted rg-counts" }, this.pending, this.failed, this.retried);

  constructor() {
    this.nodeBar.element.classList.add("rg-thin");
    this.card.body.append(this.empty, this.batch.element, this.node, this.nodeBar.element, this.counts);
  }

  update({ state, texts, formats }: Context): void {
    const { queue, batch } = state.status ?? { queue: null, batch: null };
    const some = batch !== null && batch.total > 0;
    this.card.head(texts.t("queue.heading"), some ? howFar(batch, texts, formats) : "");
    show(this.batch.element, some);
    if (some) this.batch.update((batch.done + batch.failed) / batch.total, texts.t("queue.progress"));

    const running = queue !== null && queue.running > 0;
    show(this.node, running);
    show(this.nodeBar.element, running);
    if (running) {
      setText(this.running, texts.t(queue.node ? "queue.running" : "queue.starting"));
      setText(this.nodeName, queue.node);
      setText(this.nodePercent, queue.progress === null ? "" : formats.percent(queue.progress));
      this.nodeBar.update(queue.progress, texts.t("queue.node"));
    }

    const count = (key: "queue.pending" | "queue.failed" | "queue.retried", n: number | undefined): string =>
      n ? texts.plural(key, n, { n: formats.count(n) }) : "";
    setOptional(this.pending, count("queue.pending", queue?.pending));
    setOptional(this.failed, count("queue.failed", batch?.failed));
    setOptional(this.retried, count("queue.retried", batch?.retried));
    show(this.counts, [this.pending, this.failed, this.retried].some((one) => !one.hidden));

    const idle = queue !== null && !running && !queue.pending;
    setOptional(this.empty, idle ? texts.t(some ? "queue.over" : "queue.empty") : "");
  }
}

/** `6 of 20 · about 26 min left`. */
function howFar(batch: Status["batch"], texts: Texts, formats: Formats): string {
  const done = texts.t("queue.batch", { done: formats.count(batch.done), total: formats.count(batch.total) });
  if (batch.eta === null) return done;
  return `${done} · ${texts.t("queue.eta", { time: formats.duration(batch.eta, true) })}`;
}
