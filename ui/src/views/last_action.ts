import { h, Keyed, setAttr, setOptional, setText, show } from "../dom";
import type { Action, Rung } from "../action";
import type { Context, Deeds, View } from "../view";
import { Card } from "./card";
import { Fold } from "./fold";
import { actionWords, stepName } from "./words";

/** What was done last, in a sentence, and the steps it took; below, all that was done before. */
export class LastAction implements View {
  private readonly card = new Card("action");
  readonly element = this.card.element;
  private readonly sentence = h("p", { class: "rg-sentence" });
  private readonly freed = h("span", { class: "rg-tag rg-good" });
  private readonly unmet = h("span", { class: "rg-tag" });
  private readonly dry = h("span", { class: "rg-tag" });
  private readonly tags = h("p", { class: "rg-tags" }, this.freed, this.unmet, this.dry);
  private readonly summary = h("summary");
  private readonly steps = h("ol");
  private readonly details = h("details", {}, this.summary, this.steps);
  private readonly list = new Keyed<[string, Rung], Step>(this.steps, () => new Step());

  private readonly log: Fold;
  private readonly none = h("p", { class: "rg-muted" });
  private readonly entries = h("ol", { class: "rg-log" });
  private readonly logged = new Keyed<[string, Action], Entry>(this.entries, () => new Entry());

  constructor(deeds: Deeds) {
    this.log = new Fold((open) => deeds.want("log", open));
    this.log.body.append(this.none, this.entries);
    this.card.body.append(this.sentence, this.tags, this.details, this.log.element);
  }

  update(context: Context): void {
    const { state, texts, formats, now } = context;
    const { status } = state;
    const action = status?.lastAction ?? null;
    this.card.head(texts.t("action.heading"), action ? formats.ago(now - action.time) : "");
    show(this.element, status !== null);
    setText(this.sentence, action ? actionWords(action, context) : texts.t("action.none"));
    this.sentence.classList.toggle("rg-muted", !action);
    setOptional(this.freed, action && action.freed > 0 ? texts.t("action.freed", { bytes: formats.bytes(action.freed) }) : "");
    const short = action && !action.met && action.goal !== null ? formats.bytes(action.goal) : "";
    setOptional(this.unmet, short && texts.t("action.unmet", { bytes: short }));
    setOptional(this.dry, action?.dryRun ? texts.t("action.dryRun") : "");
    show(this.tags, [this.freed, this.unmet, this.dry].some((tag) => !tag.hidden));
    const rungs = action?.rungs ?? [];
    show(this.details, rungs.length > 0);
    setText(this.summary, texts.plural("action.steps", rungs.length, { n: formats.count(rungs.length) }));
    this.list.update(
      rungs.map((rung, place): [string, Rung] => [`${action?.time} ${place}`, rung]),
      ([key]) => key,
      (step, [, rung]) => step.update(rung, stepName(rung, texts), formats.bytes(rung.freed), formats.duration(rung.seconds)),
    );
    this.updateLog(context);
  }

  private updateLog(context: Context): void {
    const { texts, formats } = context;
    const { log } = context.state;
    this.log.head(texts.t("action.log"));
    if (!this.log.open) return;
    setOptional(this.none, log?.length ? "" : texts.t(log ? "action.none" : "jobs.loading"));
    const newest = [...(log ?? [])].reverse().map((one, at): [string, Action] => [`${one.time} ${(log?.length ?? 0) - at}`, one]);
    this.logged.update(newest, ([key]) => key, (entry, [, one]) => entry.update(one, formats.date(one.time), actionWords(one, context)));
  }
}

class Entry {
  private readonly time = h("span", { class: "rg-muted rg-number" });
  private readonly text = h("span");
  readonly element = h("li", {}, this.time, this.text);

  update(action: Action, time: string, words: string): void {
    setText(this.time, time);
    setText(this.text, words);
    setAttr(this.element, "data-level", action.level);
  }
}

class Step {
  private readonly name = h("span", { class: "rg-clip" });
  private readonly figures = h("span", { class: "rg-number" });
  private readonly detail = h("span", { class: "rg-muted" });
  readonly element = h("li", {}, h("span", { class: "rg-row" }, this.name, this.figures), this.detail);

  update(rung: Rung, name: string, freed: string, took: string): void {
    setText(this.name, name);
    setText(this.figures, `${freed} · ${took}`);
    setOptional(this.detail, rung.detail);
  }
}
