import { h, setText } from "../dom";
import type { Context, View } from "../view";

/** Versions, and how often the monitor looks. */
export class Foot implements View {
  readonly element = h("footer", { class: "rg-foot" });

  update({ state, texts, formats }: Context): void {
    const parts = [texts.t("foot.panel", { version: __VERSION__ })];
    const { status } = state;
    if (status) {
      const { name, version } = status.host;
      if (name === "embedded") parts.push(texts.t("foot.page", { version }).trim());
      else if (name) parts.push(texts.t("foot.host", { name, version }).trim());
      const { interval, late } = status.monitor;
      if (interval > 0) parts.push(texts.t("foot.interval", { time: formats.duration(interval) }));
      // A sampler that comes late means that the machine, or Python, is stuck.
      if (late >= 1) parts.push(texts.t("foot.late", { time: formats.duration(late) }));
    }
    setText(this.element, parts.join(" · "));
  }
}
