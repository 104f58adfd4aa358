/** The panel's element: its parts, in order, and when they are redrawn. */
import { h, setAttr } from "./dom";
import { Formats } from "./format";
import { Texts } from "./i18n";
import { Pace } from "./pace";
import { onRunner, serverTime, type State } from "./state";
import style from "./style.css?inline";
import forms from "./forms.css?inline";
import type { Context, Deeds, View } from "./view";
import { Aside } from "./views/aside";
import { Foot } from "./views/foot";
import { Free } from "./views/free";
import { Gate } from "./views/gate";
import { Head } from "./views/head";
import { JobList } from "./views/job_list";
import { LastAction } from "./views/last_action";
import { Limits } from "./views/limits";
import { Machines } from "./views/machines";
import { Meters } from "./views/meters";
import { Notices } from "./views/notices";
import { Queue } from "./views/queue";
import { Restore } from "./views/restore";
import { SettingsCard } from "./views/settings";
import { TimeLine } from "./views/time_line";

export class Panel {
  readonly element: HTMLElement;
  private readonly views: View[];
  private texts = new Texts();
  private formats = new Formats("en");
  private readonly pace = new Pace(
    () => this.draw(),
    () => isLive(this.state()),
  );

  /** @param state gives the state to draw; it is asked when it is drawn. */
  constructor(
    private readonly state: () => State,
    deeds: Deeds,
  ) {
    addStyle();
    const [head, notices, foot] = [new Head(), new Notices(), new Foot()];
    // In this order when narrow; when wide, the second column stands to the right of the others.
    const columns = [
      [new Gate(deeds), new Restore(deeds), new Queue(deeds, new JobList(deeds)), new Aside(deeds), new Machines()],
      [new Meters(deeds), new TimeLine(), new LastAction(deeds)],
      [new Free(deeds), new SettingsCard(deeds), new Limits()],
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
    this.redraw(true);
  }

  /** Whether the panel is seen; while it is not, nothing is drawn. */
  watched(seen: boolean): void {
    this.pace.allow(seen);
  }

  /** Draw soon, while seen; `urgent`: in the next frame. */
  redraw(urgent = false): void {
    this.pace.soon(urgent);
  }

  private draw(): void {
    const state = this.state();
    const context: Context = { state, texts: this.texts, formats: this.formats, now: serverTime(state, Date.now()) };
    // A batch runner's dashboard has machines and jobs, but measures nothing itself.
    setAttr(this.element, "data-runner", onRunner(state) ? "" : null);
    for (const view of this.views) view.update(context);
  }
}

/** Whether somebody will be following what is shown. */
const isLive = ({ status, said }: State): boolean => said !== null || (status !== null && (status.level !== "normal" || status.gate.state !== "open"));

function addStyle(): void {
  const id = "resource-gate-style";
  if (document.getElementById(id)) return;
  document.head.append(h("style", { text: style + forms, attrs: { id } }));
}
