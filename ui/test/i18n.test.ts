import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import english from "../../locales/en/main.json";
import { Formats } from "../src/format";
import { Texts } from "../src/i18n";

const all = { en: english };
const zh = { ...all, zh: { resourceGate: { title: "资源闸门", queue: { pending: { other: "{n} 个等待" } } } } };

describe("texts", () => {
  it("are in the user's language where there is a translation", () => {
    expect(new Texts("zh", zh).t("title")).toBe("资源闸门");
  });

  it("are English, one by one, where a translation lacks them", () => {
    expect(new Texts("zh", zh).t("level.normal")).toBe("Normal");
  });

  it("are English for a language that has none, and say so", () => {
    const texts = new Texts("tr", zh);
    expect(texts.t("title")).toBe("Resource Gate");
    expect(texts.spoken).toBe("en");
  });

  it("are those of the language for a region that has none of its own", () => {
    expect(new Texts("zh-TW", zh).t("title")).toBe("资源闸门");
  });

  it("survive translations that are not what they should be", () => {
    const odd = { ...all, zh: { resourceGate: { title: 7, gate: "no tree", level: null } } };
    const texts = new Texts("zh", odd);
    expect([texts.t("title"), texts.t("gate.pause"), texts.t("level.normal")]).toEqual(["Resource Gate", "Pause", "Normal"]);
    expect(texts.find("constructor.name")).toBeUndefined();
  });

  it("take values, and leave a placeholder without one as it is", () => {
    const texts = new Texts("en", all);
    expect(texts.t("gate.waited", { time: "3 sec" })).toBe("Waited 3 sec");
    expect(texts.t("gate.waited")).toBe("Waited {time}");
  });

  it("take literal signs in the form that ComfyUI's files need", () => {
    const texts = new Texts("zh", { zh: { resourceGate: { title: "a{'@'}b {'{'}x{'}'} {'|'}" } } });
    expect(texts.t("title")).toBe("a@b {x} |");
  });

  it("follow the number", () => {
    expect(new Texts("en", all).plural("meters.files", 1)).toBe("1 file");
    expect(new Texts("en", all).plural("meters.files", 2)).toBe("2 files");
    expect(new Texts("zh", zh).plural("queue.pending", 1)).toBe("1 个等待");
  });
});

/** Every text with its key. */
function flat(tree: unknown, path = ""): [string, string][] {
  if (typeof tree === "string") return [[path, tree]];
  return Object.entries(tree as object).flatMap(([key, value]) => flat(value, path ? `${path}.${key}` : key));
}

const LOCALES = join(import.meta.dirname, "../../locales");
const load = (locale: string, file: string): unknown => JSON.parse(readFileSync(join(LOCALES, locale, file), "utf8"));
const names = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
const others = readdirSync(LOCALES).filter((locale) => locale !== "en" && !locale.includes("."));

describe.each(others)("the %s files", (locale) => {
  it("are there: panel and nodes in every language, settings and commands too in Chinese", () => {
    const all = locale === "zh" ? readdirSync(join(LOCALES, "en")) : ["main.json", "nodeDefs.json"];
    expect(readdirSync(join(LOCALES, locale))).toEqual(expect.arrayContaining(all));
  });

  it.each(readdirSync(join(LOCALES, locale)))("%s have the keys and placeholders of the English ones", (file) => {
    // A language has the plural forms that it has.
    const base = (key: string): string => key.replace(/\.(zero|one|two|few|many|other)$/, "");
    const [here, there] = [flat(load("en", file)), flat(load(locale, file))];
    const keys = (texts: [string, string][]): string[] => [...new Set(texts.map(([key]) => base(key)))].sort();
    // The help of the settings is written in English and Chinese; for the others English stands in.
    const [found, wanted] = [keys(there), keys(here).filter((key) => locale === "zh" || !key.includes(".settings.help."))];
    // Which texts the nodes have, tests/test_texts.py holds against the nodes themselves.
    expect(found).toEqual(file === "nodeDefs.json" ? expect.arrayContaining(wanted) : wanted);
    const english = new Map(here.map(([key, text]) => [base(key), names(text)]));
    for (const [key, text] of there) expect([key, names(text)]).toEqual([key, english.get(base(key)) ?? []]);
  });
});

describe.each(["en", ...others])("the %s texts", (locale) => {
  it("hold no sign that ComfyUI's reader would trip over", () => {
    for (const file of readdirSync(join(LOCALES, locale))) {
      for (const [key, text] of flat(load(locale, file))) {
        expect([key, text.replace(/\{(\w+|'[^']*')\}/g, "")]).toEqual([key, expect.not.stringMatching(/[@{}|]/)]);
      }
    }
  });
});

it("every English text is used somewhere", () => {
  const source = readdirSync(join(import.meta.dirname, "../src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name.endsWith(".ts"))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"))
    .join("\n");
  // Keys are written out, or end in one value put in: `gate.why.${state}`.
  const patterns = [...source.matchAll(/["`]([a-z]+(?:\.(?:\w|\$\{[^}]*\})+)*)["`]/gi)].map(
    ([, key]) => new RegExp(`^${(key ?? "").replace(/[.]/g, "\\.").replace(/\$\{[^}]*\}/g, "\\w+")}$`),
  );
  const keys = flat(english.resourceGate).map(([key]) => key.replace(/\.(one|other)$/, ""));
  expect(keys.filter((key) => !patterns.some((pattern) => pattern.test(key)))).toEqual([]);
});

it.each(["en-US@posix", "zh-CN@posix", "en-"])("a locale that is none to the browser's own formats, as %s, does no harm", (locale) => {
  const texts = new Texts(locale, { zh: { resourceGate: { title: "资源闸" } } });
  expect(texts.spoken).toBe(locale.slice(0, 2));
  expect(new Formats(texts.spoken).percent(0.5)).toContain("50");
});
