import { firstFrom } from "../chart";
import { h, Keyed, setAttr, setOptional, setText, show } from "../dom";
import type { Trail } from "../trail";
import type { Context, View } from "../view";
import { Card } from "./card";
import { Plot } from "./plot";
import { Segments } from "./segments";
import { actionWords } from "./words";

/** Seconds that can be looked at. */
const SPANS = [300, 900, 3600] as const;

/** RAM and VRAM of the last minutes, with jobs and actions; the pointer or the arrow keys tell the values. */
export class TimeLine implements View {
  private readonly card = new Card("time");
  readonly element = this.card.element;
  private readonly none = h("p", { class: "rg-muted" });
  private readonly chart = h("div", { class: "rg-chart", attrs: { role: "slider", tabindex: "0" } });
  private readonly legend = h("p", { class: "rg-legend" });
  private readonly keys = new Keyed<[string, string], Key>(this.legend, ([kind]) => new Key(kind));
  private readonly readout = h("p", { class: "rg-readout" });
  private readonly spans = new Segments<number>(SPANS, 900, () => this.draw(true));
  private readonly plot = new Plot((index) => this.tell(index));
  private width = 0;
  private context: Context | null = null;
  private drawn = { at: -Infinity, revision: -1, loads: -1 };
  /** The point that is looked at; null: none. */
  private index: number | null = null;

  constructor() {
    this.card.header.append(this.spans.element);
    this.chart.append(this.plot.element);
    this.card.body.append(this.none, this.legend, this.chart, this.readout);
    this.chart.addEventListener("keydown", (event) => this.key(event));
    this.chart.addEventListener("blur", () => this.plot.point(null));
    new ResizeObserver(([entry]) => {
      this.width = Math.floor(entry?.contentRect.width ?? 0);
      this.draw(true);
    }).observe(this.chart);
  }

  update(context: Context): void {
    const other = this.context?.texts !== context.texts;
    this.context = context;
    const { state, texts, formats } = context;
    this.card.head(texts.t("timeline.heading"));
    this.spans.update(texts.t("timeline.span"), (span) => formats.duration(span));
    const empty = state.trail.times.length < 2;
    setOptional(this.none, empty ? texts.t("timeline.none") : "");
    for (const one of [this.chart, this.legend, this.readout]) show(one, !empty);
    setAttr(this.chart, "aria-label", texts.t("timeline.label"));
    const lines = [...state.trail.lines.keys()].map((key): [string, string] => [key, lineName(key, state.trail, context)]);
    this.keys.update([...lines, ["job", texts.t("timeline.jobs")], ["normal", texts.t("timeline.actions")]], ([kind]) => kind, (key, [, word]) => key.update(word));
    this.draw(other);
  }

  /** @param anew even if the last drawing shows nearly the same. */
  private draw(anew: boolean): void {
    const { context } = this;
    if (!context || !this.width || context.state.trail.times.length < 2) return;
    const { trail } = context.state;
    // A pixel's worth of seconds, and never more often than once a second.
    const due = this.drawn.at + Math.max(1, this.spans.chosen / this.width);
    if (!anew && trail.loads === this.drawn.loads && (trail.revision === this.drawn.revision || (context.now < due && context.now > this.drawn.at))) return;
    this.drawn = { at: context.now, revision: trail.revision, loads: trail.loads };
    const { state, formats, now } = context;
    const tiers = state.status?.resources.find(({ key }) => key === "ram")?.tiers ?? null;
    this.plot.draw(
      {
        trail,
        from: now - this.spans.chosen,
        to: now,
        tiers,
        skew: state.skew,
        clock: (time) => formats.time(time - state.skew),
        percent: (share) => formats.percent(share),
      },
      this.width,
    );
  }

  private tell(index: number | null): void {
    this.index = index;
    const { context } = this;
    if (!context) return;
    const { trail } = context.state;
    const at = index !== null && index < trail.times.length ? index : trail.times.length - 1;
    const said = readingAt(at, context);
    setText(this.readout, said);
    setAttr(this.chart, "aria-valuemin", String(trail.times[0] ?? 0));
    setAttr(this.chart, "aria-valuemax", String(trail.last));
    setAttr(this.chart, "aria-valuenow", String(trail.times[at] ?? 0));
    setAttr(this.chart, "aria-valuetext", said);
  }

  private key(event: KeyboardEvent): void {
    const { times } = this.context?.state.trail ?? { times: [] };
    const step = Math.max(1, Math.round(times.length / 60));
    const at = this.index ?? times.length - 1;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, PageDown: at - step, PageUp: at + step, Home: -1, End: times.length - 1 }[event.key];
    const first = firstFrom(times, this.drawn.at - this.spans.chosen);
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.plot.point(Math.min(times.length - 1, Math.max(first, to)));
  }
}

class Key {
  private readonly word = h("span");
  readonly element: HTMLElement;

  constructor(kind: string) {
    this.element = h("span", { attrs: { "data-kind": kind } }, h("i"), this.word);
  }

  update(word: string): void {
    setText(this.word, word);
  }
}

function lineName(key: string, trail: Trail, { texts }: Context): string {
  if (key === "ram") return texts.t("meters.ram");
  return trail.lines.size > 2 ? texts.t("meters.vramNumber", { n: key.slice(4) }) : texts.t("meters.vram");
}

/** `14:03:22 · RAM 13.4 GB, 42% · VRAM 9.1 GB, 38% · clip 7 · RAM at 87%: …`. */
export function readingAt(at: number, context: Context): string {
  const { state, texts, formats } = context;
  const { trail } = state;
  const time = trail.times[at];
  if (time === undefined) return "";
  const parts = [formats.clock(time - state.skew)];
  for (const [key, { used, limit }] of trail.lines) {
    const [amount, most] = [used[at], limit[at]];
    if (amount == null || !most) continue;
    parts.push(texts.t("timeline.reading", { name: lineName(key, trail, context), bytes: formats.bytes(amount), percent: formats.percent(amount / most) }));
  }
  for (const { title } of trail.jobs.filter(({ start, end }) => start <= time + 1 && (end ?? Infinity) >= time).slice(0, 2)) parts.push(title);
  const near = Math.max(1, (time - (trail.times[at - 1] ?? time)) / 2);
  const action = trail.actions.find((one) => Math.abs(one.time - time) <= near);
  if (action) parts.push(actionWords(action, context));
  return parts.join(" · ");
}
