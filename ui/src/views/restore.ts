import { h, setAttr, setText, show } from "../dom";
import type { Context, Deeds, View } from "../view";
import { Card } from "./card";

/** What an earlier run of the server left: prompts to put back, and those set aside because it died with them. */
export class Restore implements View {
  private readonly card = new Card("restore");
  readonly element = this.card.element;
  private readonly left = h("p");
  private readonly aside = h("p", { class: "rg-muted" });
  private readonly restore: HTMLButtonElement;
  private readonly discard: HTMLButtonElement;
  private readonly buttons: HTMLElement;
  private usable = false;

  constructor(deeds: Deeds) {
    this.restore = this.button("restore", () => deeds.restore(false));
    this.discard = this.button("discard", () => deeds.restore(true));
    this.buttons = h("div", { class: "rg-buttons" }, this.restore, this.discard);
    this.card.body.append(this.left, this.buttons, this.aside);
  }

  update({ state, texts, formats }: Context): void {
    const { restorable, quarantined } = state.status?.batch ?? { restorable: 0, quarantined: 0 };
    show(this.element, restorable + quarantined > 0);
    this.card.head(texts.t("restore.heading"), "");
    show(this.left, restorable > 0);
    show(this.buttons, restorable > 0);
    show(this.aside, quarantined > 0);
    setText(this.left, texts.plural("restore.left", restorable, { n: formats.count(restorable) }));
    setText(this.aside, texts.plural("restore.aside", quarantined, { n: formats.count(quarantined) }));
    this.usable = state.link === "live" && state.busy === null;
    setText(this.restore, texts.t("restore.restore"));
    setText(this.discard, texts.t("restore.discard"));
    for (const button of [this.restore, this.discard]) setAttr(button, "aria-disabled", this.usable ? null : "true");
  }

  private button(deed: string, act: () => void): HTMLButtonElement {
    const button = h("button", { class: "rg-button", attrs: { type: "button" }, on: { click: () => this.usable && act() } });
    button.dataset.deed = deed;
    return button;
  }
}
