import { h, Keyed, setText, show } from "../dom";
import { onRunner, versionGap } from "../state";
import type { Context, View } from "../view";

interface Notice {
  key: string;
  kind: "error" | "info";
  text: string;
}

/** What stands in the way of the panel itself: no server part, another version, a dead worker. */
export class Notices implements View {
  readonly element = h("div", { class: "rg-notices", attrs: { role: "status" } });
  private readonly list = new Keyed<Notice, { element: HTMLElement }>(this.element, (notice) => ({
    element: h("p", { class: "rg-notice", attrs: { "data-kind": notice.kind } }),
  }));

  update(context: Context): void {
    const notices = noticesOf(context);
    this.list.update(notices, (one) => one.key, (view, one) => setText(view.element, one.text));
    show(this.element, notices.length > 0);
  }
}

function noticesOf({ state, texts }: Context): Notice[] {
  const notices: Notice[] = [];
  if (state.link === "lost") notices.push({ key: "lost", kind: "error", text: texts.t("notice.lost") });
  if (state.link === "missing" && !onRunner(state)) notices.push({ key: "missing", kind: "error", text: texts.t("notice.missing") });
  if (state.link === "refused") {
    notices.push({ key: "refused", kind: "error", text: texts.t("notice.refused", { message: state.message || texts.t("notice.odd") }) });
  }
  const { status } = state;
  if (!status) return notices;
  if (status.workerAlive === false) notices.push({ key: "worker", kind: "error", text: texts.t("notice.worker") });
  const gap = versionGap(status.version, __VERSION__);
  if (gap) {
    notices.push({ key: gap, kind: "info", text: texts.t(`notice.version.${gap}`, { server: status.version, panel: __VERSION__ }) });
  }
  return notices;
}
