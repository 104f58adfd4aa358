import { h, Keyed, setText, show } from "../dom";
import type { Context, View } from "../view";
import { Card } from "./card";
import { problemWhy } from "./words";

/** What does not work on this machine, and why. */
export class Limits implements View {
  private readonly card = new Card("limits");
  readonly element = this.card.element;
  private readonly rows = h("ul");
  private readonly list = new Keyed<[string, string], { element: HTMLElement }>(this.rows, () => ({ element: h("li") }));

  constructor() {
    this.card.body.append(this.rows);
  }

  update({ state, texts, formats }: Context): void {
    const { degraded, monitor } = state.status ?? { degraded: {}, monitor: { problems: {} } };
    const causes = state.status?.causes ?? {};
    const lines: [string, string][] = [
      ...Object.entries(degraded).map(([name, reason]): [string, string] => [
        `feature ${name}`,
        problemWhy(causes[name], texts, formats) ?? `${name}: ${reason}`,
      ]),
      ...Object.entries(monitor.problems).map(([name, reason]): [string, string] => [
        `reader ${name}`,
        texts.t("limits.reader", { name, reason }),
      ]),
    ];
    this.card.head(texts.t("limits.heading"));
    show(this.element, lines.length > 0);
    this.list.update(lines, ([key]) => key, (view, [, text]) => setText(view.element, text));
  }
}
