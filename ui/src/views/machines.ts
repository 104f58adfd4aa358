import { h, Keyed, setAttr, setOptional, setText, setVar, show } from "../dom";
import type { Machine } from "../fleet";
import { onRunner } from "../state";
import type { Resource } from "../status";
import type { Context, View } from "../view";
import { Card } from "./card";
import { machineWhy } from "./words";

/** The machines of a batch runner, on its own dashboard: how full each is, and what it works on. */
export class Machines implements View {
  private readonly card = new Card("machines");
  readonly element = this.card.element;
  private readonly batch = h("p");
  private readonly rows = h("ul", { class: "rg-jobs" });
  private readonly list = new Keyed<Machine, Row>(this.rows, () => new Row());
  private readonly dask = h("a", { attrs: { target: "_blank", rel: "noreferrer" } });

  constructor() {
    this.card.body.append(this.batch, this.rows, this.dask);
  }

  update(context: Context): void {
    const { state, texts, formats } = context;
    const { fleet } = state;
    show(this.element, fleet !== null);
    if (!fleet) return;
    this.card.head(texts.t("machines.heading"), formats.count(fleet.machines.length));
    // On the runner's own page the card above tells of the batch.
    const batch = onRunner(state) ? null : fleet.batch;
    const parts = batch ? [texts.t("queue.batch", { done: formats.count(batch.done), total: formats.count(batch.total) })] : [];
    if (batch?.failed) parts.push(texts.plural("queue.failed", batch.failed, { n: formats.count(batch.failed) }));
    if (batch?.eta != null) parts.push(texts.t("queue.eta", { time: formats.duration(batch.eta, true) }));
    setOptional(this.batch, parts.join(" · "));
    this.list.update(fleet.machines, (one) => one.name, (row, one) => row.update(one, context));
    show(this.dask, fleet.dask !== "");
    setText(this.dask, texts.t("machines.dask"));
    setAttr(this.dask, "href", fleet.dask || null);
  }
}

class Row {
  private readonly name = h("a", { class: "rg-clip", attrs: { target: "_blank", rel: "noreferrer" } });
  private readonly state = h("span", { class: "rg-state" });
  private readonly bars = h("div", { class: "rg-mini" });
  private readonly list = new Keyed<[string, Resource], Mini>(this.bars, () => new Mini());
  private readonly facts = h("p", { class: "rg-caption" });
  readonly element = h("li", {}, h("p", { class: "rg-job" }, this.name, this.state), this.bars, this.facts);

  update(machine: Machine, { texts, formats }: Context): void {
    setText(this.name, machine.name);
    setAttr(this.name, "href", machine.url || null);
    setText(this.state, texts.find(`machines.state.${machine.state}`) ?? machine.state);
    const reason = machineWhy(machine, texts, formats);
    // The server's own words name addresses and what the system said.
    setAttr(this.state, "title", machine.reason || null);
    setAttr(this.element, "data-level", machine.level);
    const { ram, gpus } = machine;
    const meters: [string, Resource][] = ram ? [[texts.t("meters.ram"), ram]] : [];
    for (const gpu of gpus) meters.push([gpus.length > 1 ? texts.t("meters.vramNumber", { n: gpu.key.slice(4) }) : texts.t("meters.vram"), gpu]);
    this.list.update(meters, ([, one]) => one.key, (mini, [name, one]) => mini.update(name, one.fraction, formats.percent(one.fraction)));
    const facts = machine.job
      ? [machine.job.name, machine.job.node, machine.job.progress === null ? "" : formats.percent(machine.job.progress)]
      : [reason];
    facts.push(texts.plural("summary.done", machine.done, { n: formats.count(machine.done) }));
    if (machine.failed) facts.push(texts.plural("queue.failed", machine.failed, { n: formats.count(machine.failed) }));
    setText(this.facts, facts.filter(Boolean).join(" · "));
  }
}

/** A small meter: name, bar, percent. */
class Mini {
  private readonly name = h("span");
  private readonly track = h("div", { class: "rg-bar", attrs: { role: "meter", "aria-valuemin": "0", "aria-valuemax": "100" } }, h("i"));
  private readonly percent = h("span", { class: "rg-number" });
  readonly element = h("div", {}, this.name, this.track, this.percent);

  update(name: string, fraction: number, percent: string): void {
    setText(this.name, name);
    setText(this.percent, percent);
    const at = Math.round(Math.min(1, Math.max(0, fraction)) * 100);
    setVar(this.track, "--at", `${at}%`);
    setAttr(this.track, "aria-valuenow", String(at));
    setAttr(this.track, "aria-label", name);
  }
}
