import { h, setAttr, setText } from "../dom";
import { Sign, type SignName } from "../icons";
import type { Place, State } from "../state";

/** A button that keeps the focus while it cannot be used. */
export class Button {
  private readonly word = h("span");
  private readonly sign: Sign | null;
  private usable = true;
  readonly element: HTMLButtonElement;

  /** @param deed names it for tests and styles. */
  constructor(deed: string, act: () => void, sign?: SignName) {
    this.sign = sign ? new Sign(sign) : null;
    this.element = h(
      "button",
      { class: "rg-button", attrs: { type: "button", "data-deed": deed }, on: { click: () => this.usable && act() } },
      ...(this.sign ? [this.sign.element] : []),
      this.word,
    );
  }

  update(word: string, usable: boolean, more: { hint?: string; sign?: SignName; primary?: boolean; busy?: boolean; name?: string } = {}): void {
    this.usable = usable;
    // Not `disabled`: the button would lose the keyboard's focus in mid-use.
    setAttr(this.element, "aria-disabled", usable ? null : "true");
    setText(this.word, word);
    setAttr(this.element, "title", more.hint || null);
    setAttr(this.element, "aria-label", more.name || null);
    setAttr(this.element, "data-primary", more.primary ? "" : null);
    setAttr(this.element, "aria-busy", more.busy ? "true" : null);
    if (more.sign) this.sign?.set(more.sign);
  }
}

/** Whether commands can be given now. */
export const ready = (state: State): boolean => state.link === "live" && state.busy === null;

/** What came of the last command, beside the button it was given by. */
export class Said {
  readonly element = h("p", { class: "rg-said", attrs: { role: "status" } });

  constructor(private readonly places: readonly Place[]) {}

  update({ said }: State): void {
    const ours = said && this.places.includes(said.place) ? said : null;
    setText(this.element, ours?.text ?? "");
    setAttr(this.element, "data-ok", ours ? String(ours.ok) : null);
  }
}
