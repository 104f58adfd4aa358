/** How full something is, in four steps. */

export const LEVELS = ["normal", "warning", "critical", "emergency"] as const;
export type Level = (typeof LEVELS)[number];

/** What is no level counts as normal. */
export const level = (value: unknown): Level => (LEVELS.includes(value as Level) ? (value as Level) : "normal");
