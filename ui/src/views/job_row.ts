import { h, setAttr, setOptional, setText, show } from "../dom";
import type { Formats } from "../format";
import type { Texts } from "../i18n";
import type { Job, Running } from "../jobs";
import { rank } from "../tiers";
import type { Context } from "../view";
import { Bar } from "./bar";
import { Button, ready } from "./button";
import { errorWhy } from "./words";

const BETWEEN = " · ";

/** A job that runs. */
export class RunningRow {
  private readonly title = h("span", { class: "rg-clip" });
  private readonly state = h("span", { class: "rg-state", attrs: { "data-state": "running" } });
  private readonly bar = new Bar();
  private readonly facts = h("p", { class: "rg-caption" });
  readonly element = h("li", {}, h("p", { class: "rg-job" }, this.title, this.state), this.bar.element, this.facts);

  constructor() {
    this.bar.element.classList.add("rg-thin");
  }

  update(job: Running, { state, texts, formats, now }: Context): void {
    // Pushed several times a second, while the list is only asked for when a job begins or ends.
    const { node, progress } = state.status?.queue ?? job;
    setText(this.title, job.title);
    setText(this.state, texts.t("jobs.state.running"));
    this.bar.update(progress, texts.t("queue.node"));
    const facts = [node || job.node];
    if (job.startedAt !== null) facts.push(formats.duration(now - job.startedAt));
    if (job.peakRam) facts.push(texts.t("jobs.ram", { bytes: formats.bytes(job.peakRam) }));
    setText(this.facts, facts.filter(Boolean).join(BETWEEN));
  }
}

/** A job of the journal: what became of it, and what it took. */
export class JobRow {
  private readonly title = h("span", { class: "rg-clip" });
  private readonly level = h("span", { class: "rg-reached" });
  private readonly state = h("span", { class: "rg-state" });
  private readonly facts = h("p", { class: "rg-caption" });
  private readonly error = h("p", { class: "rg-caption rg-bad" });
  private readonly retry: Button;
  readonly element: HTMLElement;
  private id = "";

  constructor(retry: (id: string) => void) {
    this.retry = new Button("retry-one", () => retry(this.id), "again");
    const head = h("p", { class: "rg-job" }, this.title, this.level, this.state);
    this.element = h("li", {}, head, this.facts, this.error, this.retry.element);
  }

  update(job: Job, { state, texts, formats }: Context): void {
    this.id = job.id;
    setText(this.title, job.title);
    setAttr(this.title, "title", job.id);
    setText(this.state, stateName(job, texts));
    setAttr(this.state, "data-state", job.state);
    setOptional(this.level, rank(job.level) > 0 ? texts.t(`level.${job.level}`) : "");
    setAttr(this.level, "data-level", job.level);
    setAttr(this.level, "title", texts.t("jobs.reached"));
    setOptional(this.facts, factsOf(job, state.client, texts, formats).join(BETWEEN));
    const where = job.node && job.state !== "done" ? texts.t("jobs.at", { node: job.node }) : "";
    setOptional(this.error, job.state === "done" ? "" : [errorWhy(job.error, texts), job.error && where].filter(Boolean).join(BETWEEN));
    show(this.retry.element, job.canRetry);
    this.retry.update(texts.t("jobs.retry"), ready(state), { name: texts.t("jobs.retryOne", { title: job.title }) });
  }
}

/** What the journal calls a state, in words. */
export const stateName = (job: Job, texts: Texts): string => texts.find(`jobs.state.${job.restorable ? "left" : job.state}`) ?? job.state;

/** `2 min · waited 12 sec · RAM 24.9 GB · VRAM 19.7 GB · 1 retry · 2 actions, 3.1 GB freed · API`. */
export function factsOf(job: Job, client: string | null, texts: Texts, formats: Formats): string[] {
  const facts: string[] = [];
  if (job.seconds !== null) facts.push(texts.t("jobs.took", { time: formats.duration(job.seconds) }));
  if (job.wait !== null && job.wait >= 1) facts.push(texts.t("jobs.waited", { time: formats.duration(job.wait) }));
  if (job.peakRam) facts.push(texts.t("jobs.ram", { bytes: formats.bytes(job.peakRam) }));
  if (job.expected) facts.push(texts.t("jobs.expected", { bytes: formats.bytes(job.expected) }));
  if (job.peakVram) facts.push(texts.t("jobs.vram", { bytes: formats.bytes(job.peakVram) }));
  if (job.retries) facts.push(texts.plural("jobs.retries", job.retries, { n: formats.count(job.retries) }));
  if (job.actions) facts.push(texts.plural("jobs.actions", job.actions, { n: formats.count(job.actions), bytes: formats.bytes(job.freed) }));
  facts.push(texts.t(!job.client ? "jobs.from.api" : job.client === client ? "jobs.from.mine" : "jobs.from.tab"));
  return facts;
}
