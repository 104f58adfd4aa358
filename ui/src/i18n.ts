/** The panel's texts: the user's language where there is one, English beneath it, word by word. */
import english from "../../locales/en/main.json";

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
    const found = [...new Set([locale, language])]
      .map((name) => (translations[name] as { resourceGate?: unknown } | undefined)?.resourceGate)
      .filter((tree) => typeof tree === "object" && tree !== null);
    this.trees = [...found, english.resourceGate];
    this.spoken = found.length || language === "en" ? locale : "en";
    this.plurals = new Intl.PluralRules(Intl.PluralRules.supportedLocalesOf([this.spoken])[0] ?? "en");
  }

  /** The language most of the texts are in: `locale`, or English where there is no translation. */
  readonly spoken: string;

  /** The text of `key`, with `{name}` replaced by `values.name`. */
  t(key: Key, values: Values = {}): string {
    return fill(this.find(key) ?? key, values);
  }

  /** The text of `key` in the plural form that `n` asks for; `{n}` stands for the number. */
  plural(key: PluralKey, n: number, values: Values = {}): string {
    const text = this.find(`${key}.${this.plurals.select(n)}`) ?? this.find(`${key}.other`);
    return fill(text ?? key, { n, ...values });
  }

  /** The text of a key that is only known at run time; undefined where there is none. */
  find(key: string): string | undefined {
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

/** Put values into a text. `{'@'}` is a literal, as in the files of ComfyUI, whose own reader trips over bare `@ { } |`. */
function fill(text: string, values: Values): string {
  return text.replace(/\{(?:'([^']*)'|(\w+))\}/g, (whole, literal: string | undefined, name: string | undefined) => {
    if (literal !== undefined) return literal;
    return name !== undefined && name in values ? String(values[name]) : whole;
  });
}
