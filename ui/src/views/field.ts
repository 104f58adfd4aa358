import { h, setAttr, setOptional, setText } from "../dom";
import type { Formats } from "../format";
import { scaleOf, shown, typed, type Field } from "../form";
import type { Texts } from "../i18n";
import type { Context } from "../view";

let count = 0;

/** One setting: its name, an input of its kind, its range, and why it was not taken. */
export class SettingField {
  private readonly name = h("label");
  private readonly input: HTMLInputElement | HTMLSelectElement;
  private readonly unit = h("span", { class: "rg-unit" });
  private readonly range = h("p", { class: "rg-caption" });
  /** For a screen reader; the pointer gets it as the title. */
  private readonly help = h("p", { class: "rg-caption rg-help" });
  private readonly problem = h("p", { class: "rg-caption rg-bad", attrs: { role: "alert" } });
  readonly element: HTMLElement;

  constructor(
    private field: Field,
    private readonly change: (path: string, value: unknown) => void,
  ) {
    const id = `rg-field-${++count}`;
    this.input = field.kind === "choice" ? h("select") : h("input", { attrs: { type: field.kind === "flag" ? "checkbox" : "text" } });
    this.input.id = id;
    this.name.htmlFor = id;
    this.range.id = `${id}-range`;
    this.help.id = `${id}-help`;
    this.problem.id = `${id}-problem`;
    setAttr(this.input, "aria-describedby", `${this.help.id} ${this.range.id} ${this.problem.id}`);
    if (!["choice", "flag"].includes(field.kind)) setAttr(this.input, "inputmode", "decimal");
    this.input.addEventListener(field.kind === "choice" || field.kind === "flag" ? "change" : "input", () => this.read());
    const box = h("span", { class: "rg-input" }, this.input, this.unit);
    this.element = h("div", { class: "rg-field", attrs: { "data-field": field.path } }, this.name, box, this.help, this.range, this.problem);
  }

  /** @param changed it was changed here and not sent yet: the server's value must not overwrite it. */
  update(field: Field, changed: boolean, problem: string, { texts, formats }: Context): void {
    this.field = field;
    setText(this.name, nameOf(field, texts));
    const help = helpOf(field, texts);
    setOptional(this.help, help);
    setAttr(this.element, "title", help || null);
    if (!changed) this.show(texts);
    setText(this.unit, UNITS[field.kind as "share"] ?? "");
    setOptional(this.range, rangeOf(field, texts, formats));
    setOptional(this.problem, problem);
    setAttr(this.input, "aria-invalid", problem ? "true" : null);
    setAttr(this.element, "data-changed", changed ? "" : null);
  }

  private show(texts: Texts): void {
    const { field, input } = this;
    if (input instanceof HTMLSelectElement) {
      const options = field.choices.map((choice) => h("option", { text: choiceName(choice, texts), attrs: { value: choice } }));
      if ([...input.options].map((one) => one.text).join() !== options.map((one) => one.text).join()) input.replaceChildren(...options);
      if (input.value !== field.value) input.value = String(field.value);
    } else if (field.kind === "flag") {
      if (input.checked !== field.value) input.checked = field.value === true;
    } else if (document.activeElement !== input && input.value !== shown(field)) input.value = shown(field);
  }

  private read(): void {
    const { field, input } = this;
    this.change(field.path, input instanceof HTMLInputElement && field.kind === "flag" ? input.checked : typed(field, input.value));
  }
}

/** A value of a setting as its field shows it, with its unit. */
export function valueName(field: Field, value: unknown, texts: Texts): string {
  if (field.kind === "flag") return texts.t(value ? "settings.on" : "settings.off");
  if (field.kind === "choice") return choiceName(String(value), texts);
  return [shown(field, value), UNITS[field.kind]].filter(Boolean).join(" ");
}

const UNITS = { share: "%", bytes: "GB", number: "" } as const;
const choiceName = (choice: string, texts: Texts): string => texts.find(`settings.choice.${choice}`) ?? choice;

const TIERED = ["ram", "vram", "cpu", "disk"];

/** What a person calls a setting; one that this panel does not know keeps the server's name. */
export function nameOf(field: Field, texts: Texts): string {
  return texts.find(`settings.field.${partOf(field)}.${field.name}`) ?? field.name.replaceAll("_", " ");
}

/** What it does, in a sentence. */
const helpOf = (field: Field, texts: Texts): string => texts.find(`settings.help.${partOf(field)}.${field.name}`) ?? field.about;

const partOf = ({ section }: Field): string => (TIERED.includes(section) ? "tier" : section);

function rangeOf(field: Field, texts: Texts, formats: Formats): string {
  if (field.kind === "flag" || field.kind === "choice") return "";
  const scale = scaleOf(field.kind);
  const written = (value: number): string => formats.plain(value / scale);
  const usual = typeof field.fallback === "number" ? texts.t("settings.usual", { value: written(field.fallback) }) : "";
  // A petabyte is no range that a person needs to know.
  const bounded = field.min !== null && field.max !== null && field.kind !== "bytes";
  const range = bounded ? texts.t("settings.range", { min: written(field.min as number), max: written(field.max as number) }) : "";
  return [range, usual].filter(Boolean).join(" · ");
}
