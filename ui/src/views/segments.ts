import { h, setAttr, setText } from "../dom";

let group = 0;

/** A choice of one in a row: radio buttons, so arrows and screen readers work by themselves. */
export class Segments<T extends string | number> {
  readonly element = h("div", { class: "rg-segments", attrs: { role: "radiogroup" } });
  private readonly words: [T, HTMLElement][];

  constructor(
    options: readonly T[],
    public chosen: T,
    changed: (option: T) => void,
  ) {
    const name = `rg-segments-${++group}`;
    this.words = options.map((option) => {
      const choose = (): void => {
        this.chosen = option;
        changed(option);
      };
      const radio = h("input", { attrs: { type: "radio", name, value: String(option) }, on: { change: choose } });
      radio.checked = option === chosen;
      const word = h("span");
      this.element.append(h("label", {}, radio, word));
      return [option, word];
    });
  }

  update(label: string, word: (option: T) => string): void {
    setAttr(this.element, "aria-label", label);
    for (const [option, element] of this.words) setText(element, word(option));
  }
}
