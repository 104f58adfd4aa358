import { h, setAttr, setText } from "../dom";
import { LevelIcon } from "../icons";
import type { Level } from "../levels";
import { culprit } from "../tiers";
import { onRunner } from "../state";
import type { Context, View } from "../view";
import { resourceName } from "./names";

/** The level in words, colour and shape, and one sentence why. */
export class Head implements View {
  readonly element: HTMLElement;
  private readonly name = h("h1");
  private readonly link = h("span", { class: "rg-link" });
  private readonly icon = new LevelIcon();
  private readonly word = h("p", { class: "rg-word", attrs: { role: "status" } });
  private readonly why = h("p", { class: "rg-why" });
  private readonly status: HTMLElement;

  constructor() {
    this.status = h("div", { class: "rg-status" }, this.icon.element, h("div", {}, this.word, this.why));
    this.element = h("header", { class: "rg-head" }, h("div", { class: "rg-title" }, this.name, this.link), this.status);
  }

  update(context: Context): void {
    const { state, texts } = context;
    const level: Level | "unknown" = state.status?.level ?? "unknown";
    setText(this.name, texts.t("title"));
    const link = state.link === "missing" && onRunner(state) ? "live" : state.link;
    setText(this.link, texts.t(`link.${link}`));
    setAttr(this.link, "data-link", link);
    setAttr(this.status, "data-level", level);
    this.icon.set(level);
    // A live region: it must change only when the level does.
    setText(this.word, texts.t(`level.${level}`));
    setText(this.why, why(context));
  }
}

/** One sentence why the level is what it is. */
export function why({ state, texts, formats }: Context): string {
  const { status } = state;
  if (!status) return state.link === "connecting" ? texts.t("why.connecting") : "";
  const worst = culprit(status);
  if (!worst) return texts.t("why.empty");
  const { resource, others } = worst;
  const name = resourceName(resource, status, texts);
  const percent = formats.percent(resource.fraction);
  if (resource.level === "normal") return texts.t("why.normal", { name, percent });
  const values = { name, percent, left: formats.bytes(Math.max(0, resource.limit - resource.used)) };
  const sentence = texts.t("why.raised", values);
  if (!others.length) return sentence;
  const names = formats.list(others.map((other) => resourceName(other, status, texts)));
  return `${sentence} ${texts.t("why.also", { names })}`;
}
