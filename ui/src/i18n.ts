/** The panel's texts: the user's language where there is one, English beneath it, word by word. */
import type english from "../../locales/en/main.json";
// Built in is only what is needed where the texts cannot be had: how it stands with the server. The rest is loaded.
import core from "virtual:core-texts";

type Tree = (typeof english)["resourceGate"];

/** Every key of a plain text, as `gate.open`. */
export type Key = Leaf<Tree>;
/** Every key of a text that depends on a number. */
export type PluralKey = Plural<Tree>;

type Leaf<T, P extends string = ""> = {
  [K in keyof T & string]: T[K] extends string ? `${P}${K}` : T[K] extends { other: string } ? never : Leaf<T[K], `${P}${K}.`>;
}[keyof T & string];
type Plural<T, P extends string = ""> = {
  [K in keyof T & string]: T[K] extends string ? never : T[K] extends { other: string } ? `${P}${K}` : Plural<T[K], `${P}${K}.`>;
}[keyof T & string];

export type Values = Record<string, string | number>;

export class Texts {
  private readonly trees: unknown[];
  private readonly found = new Map<string, string | undefined>();
  private readonly plurals: Intl.PluralRules;

  /**
   * @param locale as `zh` or `pt-BR`.
   * @param translations locale → tree with our texts under `resourceGate`, as ComfyUI's `/i18n` gives it.
   */
  constructor(
    readonly locale = "en",
    translations: Record<string, unknown> = {},
  ) {
    const language = locale.split("-")[0] ?? locale;
    const treesOf = (...names: string[]): unknown[] =>
      [...new Set(names)]
        .map((name) => (translations[name] as { resourceGate?: unknown } | undefined)?.resourceGate)
        .filter((tree) => typeof tree === "object" && tree !== null);
    const found = treesOf(locale, language);
    const english = treesOf("en");
    this.complete = english.length > 0;
    this.trees = [...found, ...english, core];
    this.spoken = found.length || language === "en" ? (isLocale(locale) ? locale : language) : "en";
    this.plurals = new Intl.PluralRules(Intl.PluralRules.supportedLocalesOf([this.spoken])[0] ?? "en");
  }

  /** The language most of the texts are in: `locale`, or English where there is no translation. */
  readonly spoken: string;

  /** Whether all texts are here; without, some show as their keys. */
  readonly complete: boolean;

  /** The text of `key`, with `{name}` replaced by `values.name`. */
  t(key: Key, values: Values = {}): string {
    return fill(this.find(key) ?? lastOf(key), values);
  }

  /** The text of `key` in the plural form that `n` asks for; `{n}` stands for the number. */
  plural(key: PluralKey, n: number, values: Values = {}): string {
    const text = this.find(`${key}.${this.plurals.select(n)}`) ?? this.find(`${key}.other`);
    return fill(text ?? lastOf(key), { n, ...values });
  }

  /** The text of a key that is only known at run time, with its values; undefined where there is none. */
  say(key: string, values: Values = {}): string | undefined {
    const text = this.find(key);
    return text === undefined ? undefined : fill(text, values);
  }

  /** The text of a key that is only known at run time; undefined where there is none. */
  find(key: string): string | undefined {
    // The same keys are looked up at each drawing.
    if (!this.found.has(key)) this.found.set(key, this.look(key));
    return this.found.get(key);
  }

  private look(key: string): string | undefined {
    for (const tree of this.trees) {
      let node: unknown = tree;
      for (const part of key.split(".")) {
        const object = typeof node === "object" && node !== null ? (node as Record<string, unknown>) : {};
        node = Object.hasOwn(object, part) ? object[part] : undefined;
      }
      if (typeof node === "string") return node;
    }
    return undefined;
  }
}

/** Whether `Intl` takes it: Chromium calls the language of a system that has none `en-US@posix`, which it does not. */
function isLocale(name: string): boolean {
  try {
    return Intl.getCanonicalLocales(name).length > 0;
  } catch {
    return false;
  }
}

/** What stands for a text that could not be loaded. */
const lastOf = (key: string): string => key.slice(key.lastIndexOf(".") + 1);

/** Put values into a text. `{'@'}` is a literal, as in the files of ComfyUI, whose own reader trips over bare `@ { } |`. */
function fill(text: string, values: Values): string {
  return text.replace(/\{(?:'([^']*)'|(\w+))\}/g, (whole, literal: string | undefined, name: string | undefined) => {
    if (literal !== undefined) return literal;
    return name !== undefined && name in values ? String(values[name]) : whole;
  });
}
