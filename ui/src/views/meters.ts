import { h, Keyed, setAttr, setOptional, setText, show } from "../dom";
import type { Gpu, Resource, Status } from "../status";
import { counts, inOrder, kindOf } from "../tiers";
import type { Context, Deeds, View } from "../view";
import { Button, Said } from "./button";
import { Card } from "./card";
import { Meter, type Reading } from "./meter";
import { resourceName, roleNames, sourceName } from "./names";
import { heldWhy } from "./words";

const BETWEEN = " · ";

/** Each resource against its limit; below them what this process and the temp folder hold. */
export class Meters implements View {
  private readonly card = new Card("meters");
  readonly element = this.card.element;
  private readonly rows = h("div", { class: "rg-resources" });
  private readonly list: Keyed<Resource, Meter>;
  private readonly adjust: Button;
  private readonly adjustHint = h("p", { class: "rg-muted" });
  private readonly said = new Said(["thresholds"]);
  private adjusting = false;
  private readonly process = new Fact();
  private readonly temp = new Fact();
  private readonly facts = h("dl", { class: "rg-facts" }, this.process.element, this.temp.element);
  private readonly none = h("p", { class: "rg-muted" });

  constructor(deeds: Deeds) {
    this.list = new Keyed(this.rows, ({ key }) => new Meter((tier, share) => deeds.change([[`${sectionOf(key)}.${tier}`, share]], "thresholds")));
    this.adjust = new Button("adjust", () => {
      this.adjusting = !this.adjusting;
      deeds.redraw();
    });
    this.adjust.element.classList.add("rg-small");
    this.card.header.append(this.adjust.element);
    this.card.body.append(this.adjustHint, this.rows, this.none, this.said.element, this.facts);
  }

  update(context: Context): void {
    const { status } = context.state;
    const { texts, formats } = context;
    this.card.head(texts.t("meters.heading"));
    const resources = inOrder(status?.resources ?? []);
    setOptional(this.none, resources.length ? "" : texts.t("meters.none"));
    this.list.update(
      resources,
      (one) => one.key,
      (meter, one) => {
        // Disks share their marks, and so do cards: they can be moved at the first.
        const first = resources.find((other) => sectionOf(other.key) === sectionOf(one.key)) === one;
        meter.update(reading(one, status as Status, context, this.adjusting && first), context);
      },
    );
    this.adjust.update(texts.t(this.adjusting ? "thresholds.done" : "thresholds.adjust"), status !== null, { hint: texts.t("thresholds.adjustHint") });
    setAttr(this.adjust.element, "aria-pressed", String(this.adjusting));
    setOptional(this.adjustHint, this.adjusting ? texts.t("thresholds.about") : "");
    this.said.update(context.state);
    const { process, temp } = status ?? { process: null, temp: null };
    const slack = process?.slack ? texts.t("meters.slack", { bytes: formats.bytes(process.slack) }) : "";
    this.process.update(
      texts.t("meters.process"),
      process && formats.bytes(process.rss),
      process ? [texts.t("meters.peak", { bytes: formats.bytes(process.peak) }), slack] : [],
    );
    const growing = temp && temp.growth >= 1024;
    this.temp.update(
      texts.t("meters.temp"),
      temp && formats.bytes(temp.bytes),
      temp
        ? [
            texts.plural("meters.files", temp.files, { n: formats.count(temp.files) }),
            growing ? texts.t("meters.growth", { bytes: formats.bytes(temp.growth) }) : "",
          ]
        : [],
      temp?.path,
    );
    show(this.facts, process !== null || temp !== null);
  }
}

/** An amount without a limit, with small print below. */
class Fact {
  private readonly name = h("dt");
  private readonly amount = h("dd");
  private readonly rest = h("dd", { class: "rg-caption" });
  readonly element = h("div", {}, this.name, this.amount, this.rest);

  update(name: string, amount: string | null | undefined, rest: string[], hint = ""): void {
    show(this.element, Boolean(amount));
    setText(this.name, name);
    setText(this.amount, amount ?? "");
    setOptional(this.rest, rest.filter(Boolean).join(BETWEEN));
    setAttr(this.element, "title", hint || null);
  }
}

/** The settings that hold the marks of a resource: those of all cards, of all disks. */
const sectionOf = (key: string): string => {
  const kind = kindOf(key);
  return kind === "other" ? key : kind;
};

function reading(resource: Resource, status: Status, { texts, formats }: Context, adjustable: boolean): Reading {
  const kind = kindOf(resource.key);
  const [used, limit] =
    kind === "cpu"
      ? [formats.decimal(resource.used), formats.count(resource.limit)]
      : formats.bytesPair(resource.used, resource.limit);
  const usage = texts.t(kind === "cpu" ? "meters.cores" : "meters.usage", { used, limit });
  const percent = formats.percent(resource.fraction);
  // A busy CPU is at work and ends no job: it has its marks, but takes no colour of alarm.
  const level = counts(resource) ? resource.level : "normal";
  const value = { usage, percent, level: texts.t(`level.${level}`) };
  const tiers = resource.tiers && {
    warning: formats.percent(resource.tiers.warning),
    critical: formats.percent(resource.tiers.critical),
    emergency: formats.percent(resource.tiers.emergency),
  };
  return {
    name: resourceName(resource, status, texts),
    usage,
    percent,
    fraction: resource.fraction,
    level,
    tiers: resource.tiers,
    value: texts.t(counts(resource) ? "meters.value" : "meters.plainValue", value),
    caption: caption(resource, status.gpus, { texts, formats }).filter(Boolean).join(BETWEEN),
    hint: resource.path || (resource.source.startsWith("cgroup") ? resource.source : ""),
    marks: tiers ? texts.t("meters.tiers", tiers) : "",
    adjustable,
  };
}

function caption(resource: Resource, gpus: readonly Gpu[], { texts, formats }: Pick<Context, "texts" | "formats">): string[] {
  switch (kindOf(resource.key)) {
    case "ram": {
      const source = resource.source ? sourceName(resource.source, texts) : "";
      return [source, texts.t("meters.left", { bytes: formats.bytes(Math.max(0, resource.limit - resource.used)) })];
    }
    case "vram": {
      const gpu = gpus.find((one) => `vram${one.index}` === resource.key);
      return [
        resource.name,
        gpu?.utilization != null ? texts.t("meters.busy", { percent: formats.percent(gpu.utilization) }) : "",
        gpu?.temperature != null ? texts.t("meters.degrees", { n: formats.count(gpu.temperature) }) : "",
        gpu?.evictable ? texts.t("meters.evictable", { bytes: formats.bytes(gpu.evictable) }) : "",
        gpu?.throttled ? texts.t("meters.throttled", { why: heldWhy(gpu.throttled, texts, formats) }) : "",
      ];
    }
    case "disk":
      return [
        formats.list(roleNames(resource, texts)),
        texts.t("meters.left", { bytes: formats.bytes(Math.max(0, resource.limit - resource.used)) }),
        resource.fullIn !== null ? texts.t("meters.fullIn", { time: formats.duration(resource.fullIn, true) }) : "",
      ];
    default:
      return [];
  }
}
