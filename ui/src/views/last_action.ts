import { h, Keyed, setOptional, setText, show } from "../dom";
import type { Rung } from "../status";
import type { Context, View } from "../view";
import { Card } from "./card";

/** What was done last, in a sentence, and the steps it took. */
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

  constructor() {
    this.card.body.append(this.sentence, this.tags, this.details);
  }

  update({ state, texts, formats, now }: Context): void {
    const { status } = state;
    const action = status?.lastAction ?? null;
    this.card.head(texts.t("action.heading"), action ? formats.ago(now - action.time) : "");
    show(this.element, status !== null);
    setText(this.sentence, action ? action.text : texts.t("action.none"));
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
      (step, [, rung]) => step.update(rung, formats.bytes(rung.freed), formats.duration(rung.seconds)),
    );
  }
}

class Step {
  private readonly name = h("span", { class: "rg-clip" });
  private readonly figures = h("span", { class: "rg-number" });
  private readonly detail = h("span", { class: "rg-muted" });
  readonly element = h("li", {}, h("span", { class: "rg-row" }, this.name, this.figures), this.detail);

  update(rung: Rung, freed: string, took: string): void {
    setText(this.name, rung.name.replaceAll("_", " "));
    setText(this.figures, `${freed} · ${took}`);
    setOptional(this.detail, rung.detail);
  }
}
