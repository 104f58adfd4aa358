import { h, setOptional, setText } from "../dom";

let count = 0;

/** A titled box; `side` stands at the right end of its title line. */
export class Card {
  readonly element: HTMLElement;
  readonly body = h("div", { class: "rg-body" });
  readonly side = h("span", { class: "rg-side" });
  private readonly title = h("h2");
  readonly header = h("header", {}, this.title, this.side);

  constructor(name: string) {
    const id = `rg-${name}-${++count}`;
    this.title.id = id;
    this.element = h(
      "section",
      { class: `rg-card rg-${name}`, attrs: { "aria-labelledby": id } },
      this.header,
      this.body,
    );
  }

  head(title: string, side = ""): void {
    setText(this.title, title);
    setOptional(this.side, side);
  }
}
