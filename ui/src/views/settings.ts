import { h, Keyed, setAttr, setOptional, setText, show } from "../dom";
import type { Field } from "../form";
import type { Texts } from "../i18n";
import type { State } from "../state";
import type { Context, Deeds, View } from "../view";
import { Button, ready, Said } from "./button";
import { Card } from "./card";
import { nameOf, SettingField, valueName } from "./field";
import { Fold } from "./fold";

type Section = { name: string; fields: Field[] };

/** The server's settings with their ranges; changed ones are sent together, and what is refused is told at its field. */
export class SettingsCard implements View {
  private readonly card = new Card("settings");
  readonly element = this.card.element;
  private readonly fold: Fold;
  private readonly about = h("p", { class: "rg-muted" });
  private readonly problems = h("p", { class: "rg-bad" });
  private readonly sections = h("div", { class: "rg-sections" });
  private readonly list: Keyed<Section, SectionPart>;
  private readonly save: Button;
  private readonly reset: Button;
  private readonly said = new Said(["settings"]);
  /** What was typed and not sent yet. */
  private readonly changes = new Map<string, unknown>();
  private context: Context | null = null;
  /** What was sent and not answered yet. */
  private sent: ReadonlyMap<string, unknown> | null = null;

  constructor(private readonly deeds: Deeds) {
    this.fold = new Fold((open) => deeds.want("form", open));
    this.list = new Keyed(this.sections, () => new SectionPart((path, value) => this.change(path, value)));
    this.save = new Button("save", () => this.send());
    this.reset = new Button("reset", () => void this.resetAll());
    const form = h("form", { class: "rg-body", attrs: { novalidate: "" } }, this.sections);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    form.append(h("button", { attrs: { type: "submit", hidden: "" } }), h("div", { class: "rg-buttons" }, this.save.element, this.reset.element), this.said.element);
    this.fold.body.append(this.about, this.problems, form);
    this.card.body.append(this.fold.element);
  }

  update(context: Context): void {
    this.context = context;
    const { state, texts } = context;
    this.card.head(texts.t("settings.heading"));
    show(this.element, state.status !== null);
    this.fold.head(texts.t("settings.open"));
    this.settle(state);
    if (!this.fold.open) return;
    setText(this.about, texts.t(state.form ? "settings.about" : "jobs.loading"));
    setOptional(this.problems, state.form?.problems.join("; ") ?? "");
    const sections = new Map<string, Field[]>();
    for (const field of state.form?.fields ?? []) sections.set(field.section, [...(sections.get(field.section) ?? []), field]);
    this.list.update(
      [...sections].map(([name, fields]) => ({ name, fields })),
      (section) => section.name,
      (part, section) => part.update(section, this.changes, context),
    );
    const usable = ready(state) && state.form !== null;
    this.save.update(texts.t("settings.save"), usable && this.changes.size > 0, { primary: this.changes.size > 0 });
    const set = this.losses().length > 0;
    this.reset.update(texts.t("settings.reset"), usable && set, { hint: texts.t(set || !state.form ? "settings.resetHint" : "settings.atDefaults") });
    this.said.update(state);
  }

  private change(path: string, value: unknown): void {
    const field = this.context?.state.form?.fields.find((one) => one.path === path);
    if (field && field.value === value) this.changes.delete(path);
    else this.changes.set(path, value);
    this.deeds.redraw();
  }

  /** Taken by the server: what it says now is what holds. What was typed meanwhile is still to be sent. */
  private settle({ busy, said }: State): void {
    if (!this.sent || busy !== null) return;
    const taken = said?.place === "settings" && said.ok ? this.sent : [];
    for (const [path, value] of taken) if (this.changes.get(path) === value) this.changes.delete(path);
    this.sent = null;
  }

  private send(): void {
    if (!this.changes.size || !this.context || !ready(this.context.state)) return;
    this.sent = new Map(this.changes);
    this.deeds.change([...this.changes], "settings");
  }

  private async resetAll(): Promise<void> {
    if (await this.deeds.reset(this.losses())) this.changes.clear();
    this.deeds.redraw();
  }

  /** What a reset would undo, a line each. */
  private losses(): string[] {
    const { state, texts } = this.context as Context;
    return (state.form?.fields ?? [])
      .filter(({ value, fallback }) => value !== fallback)
      .map((field) =>
        texts.t("settings.resetItem", {
          section: sectionName(field.section, texts),
          name: nameOf(field, texts),
          value: valueName(field, field.value, texts),
          usual: valueName(field, field.fallback, texts),
        }),
      );
  }
}

const sectionName = (name: string, texts: Texts): string => texts.find(`settings.section.${name}`) ?? name;

/** The settings of one part of the server. */
class SectionPart {
  private readonly legend = h("legend");
  private readonly rows = h("div", { class: "rg-fields" });
  readonly element = h("fieldset", {}, this.legend, this.rows);
  private readonly list: Keyed<Field, SettingField>;

  constructor(change: (path: string, value: unknown) => void) {
    this.list = new Keyed(this.rows, (field) => new SettingField(field, change));
  }

  update({ name, fields }: Section, changes: ReadonlyMap<string, unknown>, context: Context): void {
    setText(this.legend, sectionName(name, context.texts));
    setAttr(this.element, "data-section", name);
    this.list.update(fields, (field) => field.path, (row, field) => {
      const changed = changes.has(field.path);
      // What only goes wrong between several fields is told for their section: at those that were changed.
      const refused = context.state.refusals.find((one) => one.field === field.path || (changed && one.field === name));
      row.update(field, changed, refused?.problem ?? "", context);
    });
  }
}
