import { h, setText } from "../dom";

/** A part that is folded until somebody wants to see it. */
export class Fold {
  private readonly summary = h("summary");
  readonly body = h("div", { class: "rg-body" });
  readonly element: HTMLDetailsElement;

  /** @param toggled told when it is unfolded or folded. */
  constructor(toggled: (open: boolean) => void = () => undefined) {
    this.element = h("details", { class: "rg-fold", on: { toggle: () => toggled(this.open) } }, this.summary, this.body);
  }

  get open(): boolean {
    return this.element.open;
  }

  head(title: string): void {
    setText(this.summary, title);
  }
}
