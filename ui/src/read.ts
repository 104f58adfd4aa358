/** Reads what a server sent, whatever it is: what is missing becomes empty, what is unknown is left out. */

export type Json = Record<string, unknown>;

export const object = (value: unknown): Json => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {});
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
export const text = (value: unknown): string => (typeof value === "string" ? value : "");
export const number = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);
export const maybe = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);
export const texts = (value: unknown): Record<string, string> =>
  Object.fromEntries(Object.entries(object(value)).map(([key, reason]) => [key, text(reason) || String(reason)]));
