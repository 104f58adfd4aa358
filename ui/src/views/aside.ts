import { h, Keyed, setAttr, setOptional, setText, show } from "../dom";
import type { Job } from "../jobs";
import type { Context, Deeds, View } from "../view";
import { Button, ready, Said } from "./button";
import { Card } from "./card";
import { errorWhy } from "./words";

/** Jobs in quarantine, each with its story and a way out. */
export class Aside implements View {
  private readonly card = new Card("aside");
  readonly element = this.card.element;
  private readonly about = h("p", { class: "rg-muted" });
  private readonly rows = h("ul", { class: "rg-jobs" });
  private readonly list: Keyed<Job, SetAside>;
  private readonly said = new Said(["aside"]);
  private shown = false;

  constructor(deeds: Deeds) {
    this.list = new Keyed(this.rows, () => new SetAside((id) => deeds.release(id)));
    this.card.body.append(this.about, this.rows, this.said.element);
  }

  update(context: Context): void {
    const { state, texts, formats } = context;
    const count = state.status?.batch.quarantined ?? 0;
    this.shown = count > 0;
    show(this.element, this.shown || state.said?.place === "aside");
    this.card.head(texts.t("aside.heading"), this.shown ? formats.count(count) : "");
    setOptional(this.about, this.shown ? texts.t("aside.about") : "");
    this.list.update(this.shown ? (state.jobs?.aside ?? []) : [], (job) => job.id, (row, job) => row.update(job, context));
    this.said.update(state);
  }
}

class SetAside {
  private readonly title = h("span", { class: "rg-clip" });
  private readonly release: Button;
  private readonly story = h("p", { class: "rg-caption" });
  private readonly error = h("p", { class: "rg-caption rg-bad" });
  readonly element: HTMLElement;
  private id = "";

  constructor(release: (id: string) => void) {
    this.release = new Button("release", () => release(this.id));
    this.element = h("li", {}, h("div", { class: "rg-job" }, this.title, this.release.element), this.story, this.error);
  }

  update(job: Job, { state, texts, formats }: Context): void {
    this.id = job.id;
    setText(this.title, job.title);
    setAttr(this.title, "title", job.id);
    const story = [texts.plural("aside.deaths", job.deaths, { n: formats.count(job.deaths) })];
    if (job.node) story.push(texts.t("jobs.at", { node: job.node }));
    if (job.peakRam) story.push(texts.t("jobs.ram", { bytes: formats.bytes(job.peakRam) }));
    if (job.peakVram) story.push(texts.t("jobs.vram", { bytes: formats.bytes(job.peakVram) }));
    if (job.queuedAt) story.push(texts.t("restore.queuedAt", { clock: formats.date(job.queuedAt) }));
    setText(this.story, story.join(" · "));
    setOptional(this.error, errorWhy(job.error, texts));
    const usable = ready(state);
    this.release.update(texts.t("aside.release"), usable, { hint: texts.t("aside.releaseHint"), name: texts.t("aside.releaseOne", { title: job.title }) });
  }
}
