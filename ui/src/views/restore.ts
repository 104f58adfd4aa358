import { h, Keyed, setAttr, setOptional, setText, show } from "../dom";
import type { Job } from "../jobs";
import type { Context, Deeds, Question, View } from "../view";
import { Button, ready, Said } from "./button";
import { Card } from "./card";
import { Fold } from "./fold";
import { stateName } from "./job_row";

/** Jobs that are named where it is asked whether they may be forgotten. */
const NAMED = 10;

/** What an earlier run of the server left in the queue: each prompt to choose, then put back or forget. */
export class Restore implements View {
  private readonly card = new Card("restore");
  readonly element = this.card.element;
  private readonly left = h("p");
  private readonly fold = new Fold();
  private readonly rows = h("ul", { class: "rg-jobs" });
  private readonly rest = h("p", { class: "rg-caption" });
  private readonly list: Keyed<Job, Choice>;
  private readonly restore: Button;
  private readonly discard: Button;
  private readonly buttons: HTMLElement;
  private readonly said = new Said(["restore"]);
  /** Those that were unticked. */
  private readonly out = new Set<string>();
  private offered: Job[] = [];
  private shown = false;
  /** What is asked before they are forgotten: a title, a sentence, and which. */
  private question: Question = ["", "", []];

  constructor(private readonly deeds: Deeds) {
    this.list = new Keyed(this.rows, () => new Choice((id, wanted) => this.choose(id, wanted)));
    this.restore = new Button("restore", () => deeds.restore(this.chosen()), "again");
    this.discard = new Button("discard", () => deeds.discard(this.chosen(), this.question));
    this.buttons = h("div", { class: "rg-buttons" }, this.restore.element, this.discard.element);
    this.fold.element.open = true;
    this.fold.body.append(this.rows, this.rest);
    this.card.body.append(this.left, this.fold.element, this.buttons, this.said.element);
  }

  update(context: Context): void {
    const { state, texts, formats } = context;
    const restorable = state.status?.batch.restorable ?? 0;
    this.shown = restorable > 0;
    const saying = state.said?.place === "restore";
    show(this.element, this.shown || saying);
    this.card.head(texts.t("restore.heading"));
    for (const one of [this.left, this.buttons, this.fold.element]) show(one, this.shown);
    setText(this.left, texts.plural("restore.left", restorable, { n: formats.count(restorable) }));
    this.offered = this.shown ? (state.jobs?.left ?? []) : [];
    this.fold.head(texts.t("restore.which"));
    this.list.update(this.offered, (job) => job.id, (row, job) => row.update(job, !this.out.has(job.id), context));
    const rest = restorable - this.offered.length;
    setOptional(this.rest, rest > 0 && state.jobs ? texts.plural("restore.more", rest, { n: formats.count(rest) }) : "");
    const chosen = this.chosen();
    const n = chosen?.length ?? restorable;
    const usable = ready(state) && n > 0;
    this.restore.update(texts.plural("restore.restore", n, { n: formats.count(n) }), usable, { primary: true });
    const discard = texts.plural("restore.discard", n, { n: formats.count(n) });
    this.discard.update(discard, usable);
    const named = this.offered.filter(({ id }) => !this.out.has(id)).slice(0, NAMED);
    const more = n - named.length;
    const unnamed = more > 0 ? [texts.plural("restore.more", more, { n: formats.count(more) })] : [];
    this.question = [discard, this.left.textContent ?? "", [...named.map(({ title }) => title), ...unnamed]];
    this.said.update(state);
  }

  private choose(id: string, wanted: boolean): void {
    if (wanted) this.out.delete(id);
    else this.out.add(id);
    this.deeds.redraw();
  }

  /** The ids that are ticked; undefined where all are, those beyond the list too. */
  private chosen(): string[] | undefined {
    const ids = this.offered.filter((job) => !this.out.has(job.id)).map((job) => job.id);
    return ids.length === this.offered.length ? undefined : ids;
  }
}

/** One prompt that may be put back. */
class Choice {
  private readonly box = h("input", { attrs: { type: "checkbox" } });
  private readonly title = h("span", { class: "rg-clip" });
  private readonly state = h("span", { class: "rg-state" });
  private readonly facts = h("p", { class: "rg-caption" });
  readonly element = h("li", {}, h("label", { class: "rg-job" }, this.box, this.title, this.state), this.facts);
  private id = "";

  constructor(choose: (id: string, wanted: boolean) => void) {
    this.box.addEventListener("change", () => choose(this.id, this.box.checked));
  }

  update(job: Job, wanted: boolean, { texts, formats }: Context): void {
    this.id = job.id;
    if (this.box.checked !== wanted) this.box.checked = wanted;
    setText(this.title, job.title);
    setAttr(this.title, "title", job.id);
    setText(this.state, stateName(job, texts));
    const facts = [texts.t("restore.queuedAt", { clock: formats.date(job.queuedAt) })];
    if (job.deaths) facts.push(texts.plural("restore.deaths", job.deaths, { n: formats.count(job.deaths) }));
    if (job.stripped) facts.push(texts.t("restore.stripped", { what: job.stripped }));
    setText(this.facts, facts.join(" · "));
  }
}
