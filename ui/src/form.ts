/** The server's settings as a form: their values, ranges and kinds, from the JSON schema that `GET settings` gives. */
import { list, maybe, object, text, type Json } from "./read";

export type Kind = "flag" | "choice" | "share" | "bytes" | "number";

export interface Field {
  /** `ram.warning`. */
  path: string;
  section: string;
  name: string;
  kind: Kind;
  value: unknown;
  fallback: unknown;
  /** In the unit of the value, not the one shown. */
  min: number | null;
  max: number | null;
  whole: boolean;
  choices: string[];
  about: string;
}

export interface Form {
  fields: Field[];
  problems: string[];
}

export interface Refusal {
  field: string;
  problem: string;
  inForce: unknown;
}

/** Bytes in a gigabyte, as the panel writes them. */
export const GB = 1024 ** 3;

/** Read the answer of `GET settings`. */
export function readForm(value: unknown): Form {
  const data = object(value);
  const schema = object(data.schema);
  const definitions = object(schema.$defs);
  const resolved = (one: unknown): Json => {
    const found = object(one);
    const nested = text(found.$ref) || text(object(list(found.allOf)[0]).$ref);
    return nested ? { ...object(definitions[nested.split("/").at(-1) ?? ""]), default: found.default } : found;
  };
  const fields = Object.entries(object(data.settings)).flatMap(([section, values]) => {
    const part = resolved(object(schema.properties)[section]);
    const defaults = object(part.default);
    return Object.entries(object(values)).map(([name, current]) => {
      const one = resolved(object(part.properties)[name]);
      return field(section, name, current, name in defaults ? { ...one, default: defaults[name] } : one);
    });
  });
  return { fields, problems: list(data.problems).map(text) };
}

function field(section: string, name: string, value: unknown, schema: Json): Field {
  const choices = list(schema.enum).map(text);
  const [min, max] = [maybe(schema.minimum), maybe(schema.maximum)];
  return {
    path: `${section}.${name}`,
    section,
    name,
    kind: kindFor(value, choices, schema, max),
    value,
    fallback: schema.default ?? null,
    min,
    max,
    whole: schema.type === "integer",
    choices,
    about: text(schema.description),
  };
}

function kindFor(value: unknown, choices: string[], schema: Json, max: number | null): Kind {
  if (typeof value === "boolean") return "flag";
  if (choices.length) return "choice";
  // The server's schema has no units: sizes alone go up to a petabyte, shares alone end at one.
  if (max !== null && max >= 2 ** 40 && schema.type === "integer") return "bytes";
  return max !== null && max <= 1 ? "share" : "number";
}

/** How many of the value one of the shown unit is: 1 % of a share, 1 GB of bytes. */
export const scaleOf = (kind: Kind): number => (kind === "share" ? 0.01 : kind === "bytes" ? GB : 1);

/** What stands in the input, for a value. */
export function shown(field: Field, value: unknown = field.value): string {
  return typeof value === "number" ? String(Math.round((value / scaleOf(field.kind)) * 1000) / 1000) : String(value ?? "");
}

/** The value of what was typed; a number that is none stays text, which the server refuses in its own words. */
export function typed(field: Field, input: string): unknown {
  if (field.kind === "flag" || field.kind === "choice") return input;
  const amount = Number(input.replace(",", "."));
  if (!input.trim() || !Number.isFinite(amount)) return input;
  const value = amount * scaleOf(field.kind);
  return field.whole ? Math.round(value) : Math.round(value * 1e6) / 1e6;
}

/** `{"ram": {"warning": 0.8}}` of `[["ram.warning", 0.8]]`. */
export function nested(changes: Iterable<readonly [string, unknown]>): Record<string, Json> {
  const found: Record<string, Json> = {};
  for (const [path, value] of changes) {
    const [section = "", name = ""] = path.split(/\.(.*)/s);
    (found[section] ??= {})[name] = value;
  }
  return found;
}
