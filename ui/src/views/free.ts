import { STRENGTHS, type Cost, type Strength } from "../costs";
import { h, Keyed, setOptional, setText, show } from "../dom";
import type { Action } from "../action";
import type { Formats } from "../format";
import type { Texts } from "../i18n";
import type { Context, Deeds, View } from "../view";
import { Button, ready, Said } from "./button";
import { Card } from "./card";
import { Segments } from "./segments";
import { stepName } from "./words";

/** Free memory now: how far to go, what that costs, and what it would do. */
export class Free implements View {
  private readonly card = new Card("free");
  readonly element = this.card.element;
  private readonly strength: Segments<Strength>;
  private readonly about = h("p");
  private readonly cost = h("p", { class: "rg-muted" });
  private readonly free: Button;
  private readonly dry: Button;
  private readonly said = new Said(["free"]);
  private readonly planned = h("ul", { class: "rg-plan" });
  private readonly plan = new Keyed<[string, string], { element: HTMLElement }>(this.planned, () => ({ element: h("li") }));

  constructor(deeds: Deeds) {
    this.strength = new Segments<Strength>(STRENGTHS, "critical", () => deeds.redraw());
    this.free = new Button("free", () => deeds.free(this.strength.chosen, false), "eject");
    this.dry = new Button("dry", () => deeds.free(this.strength.chosen, true), "eye");
    const buttons = h("div", { class: "rg-buttons" }, this.free.element, this.dry.element);
    this.card.body.append(this.strength.element, this.about, this.cost, buttons, this.said.element, this.planned);
    // What it costs is only worth asking for by who thinks of doing it; it changes with every job.
    let wanted = false;
    const think = (): void => (wanted ? deeds.again("costs") : deeds.want("costs", (wanted = true)));
    this.element.addEventListener("pointerenter", think);
    this.element.addEventListener("focusin", think);
  }

  update({ state, texts, formats }: Context): void {
    this.card.head(texts.t("free.heading"));
    this.strength.update(texts.t("free.strength.label"), (one) => texts.t(`free.strength.${one}`));
    setText(this.about, texts.t(`free.about.${this.strength.chosen}`));
    const cost = state.costs?.of[this.strength.chosen];
    setOptional(this.cost, state.costs?.deferred ? texts.t("free.cost.later") : cost ? costText(cost, { texts, formats }) : "");
    const busy = state.busy === "free";
    this.free.update(texts.t(busy ? "free.busy" : "free.button"), ready(state), { hint: texts.t("free.hint"), busy });
    this.dry.update(texts.t("free.dry"), ready(state), { hint: texts.t("free.dryHint") });
    this.said.update(state);
    const lines = (state.plan?.actions ?? []).flatMap((action, at) => stepsOf(action, at, texts, formats));
    this.plan.update(lines, ([key]) => key, (view, [, text]) => setText(view.element, text));
    show(this.planned, lines.length > 0);
  }
}

/** `About 3.1 GB would come free. 4 nodes run again …` */
function costText(cost: Cost, { texts, formats }: Pick<Context, "texts" | "formats">): string {
  const parts: string[] = [];
  if (cost.bytes !== null) parts.push(cost.bytes > 0 ? texts.t("free.cost.bytes", { bytes: formats.bytes(cost.bytes) }) : texts.t("free.wouldNot"));
  if (cost.reruns) parts.push(texts.plural("free.cost.reruns", cost.reruns, { n: formats.count(cost.reruns) }));
  if (cost.reloads.length) parts.push(texts.t("free.cost.reloads", { names: formats.list(cost.reloads) }));
  if (cost.reruns === 0 && !cost.reloads.length) parts.push(texts.t("free.cost.nothing"));
  return parts.join(" ");
}

function stepsOf(action: Action, at: number, texts: Texts, formats: Formats): [string, string][] {
  if (!action.rungs.length) return [[`${at}`, action.text]];
  return action.rungs.map((rung, place) => {
    const what = (/^en\b/.test(texts.spoken) && rung.detail) || stepName(rung, texts);
    return [`${at} ${place}`, rung.freed > 0 ? `${what} (${formats.bytes(rung.freed)})` : what];
  });
}
