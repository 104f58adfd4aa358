/** The panel's element: its parts, in order, and when they are redrawn. */
import { h } from "./dom";
import { Formats } from "./format";
import { Texts } from "./i18n";
import { serverTime, type State } from "./state";
import style from "./style.css?inline";
import type { Context, Deeds, View } from "./view";
import { Foot } from "./views/foot";
import { Gate } from "./views/gate";
import { Head } from "./views/head";
import { LastAction } from "./views/last_action";
import { Limits } from "./views/limits";
import { Meters } from "./views/meters";
import { Notices } from "./views/notices";
import { Queue } from "./views/queue";
import { Restore } from "./views/restore";

export class Panel {
  readonly element: HTMLElement;
  private readonly views: View[];
  private texts = new Texts();
  private formats = new Formats("en");
  private seen = false;
  private frame: number | null = null;

  /** @param state gives the state to draw; it is asked when it is drawn. */
  constructor(
    private readonly state: () => State,
    deeds: Deeds,
  ) {
    addStyle();
    const [head, notices, foot] = [new Head(), new Notices(), new Foot()];
    // In this order when narrow; when wide, the second column stands to the right of the others.
    const columns = [
      [new Gate(deeds), new Restore(deeds), new Queue()],
      [new Meters()],
      [new LastAction(), new Limits()],
    ];
    this.views = [head, notices, ...columns.flat(), foot];
    const grid = h(
      "div",
      { class: "rg-columns" },
      ...columns.map((views) => h("div", { class: "rg-column" }, ...views.map((view) => view.element))),
    );
    this.element = h("div", { class: "resource-gate" }, h("div", { class: "rg-inner" }, head.element, notices.element, grid, foot.element));
    this.draw();
  }

  /** Use these texts from now on. */
  speak(texts: Texts): void {
    this.texts = texts;
    this.formats = new Formats(texts.spoken);
    this.element.lang = texts.spoken;
    this.redraw();
  }

  /** Whether the panel is seen; while it is not, nothing is drawn. */
  watched(seen: boolean): void {
    this.seen = seen;
    if (seen) this.redraw();
  }

  /** Draw soon: at most once a frame, and only while seen. */
  redraw(): void {
    if (!this.seen || this.frame !== null) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  private draw(): void {
    const state = this.state();
    const context: Context = { state, texts: this.texts, formats: this.formats, now: serverTime(state, Date.now()) };
    for (const view of this.views) view.update(context);
  }
}

function addStyle(): void {
  const id = "resource-gate-style";
  if (document.getElementById(id)) return;
  document.head.append(h("style", { text: style, attrs: { id } }));
}
