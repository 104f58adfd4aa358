/** What the server says in English sentences, in the user's language where it tells their parts as well. */
import type { Action, Rung } from "../action";
import type { Formats } from "../format";
import type { Texts, Values } from "../i18n";
import type { Machine } from "../fleet";
import { number, object, text, type Json } from "../read";
import type { Status } from "../status";
import type { Context } from "../view";
import { resourceName } from "./names";

/** Bytes from which a step is named, where any step came to that much: as the server does it. */
const TELLING = 1024 ** 2;

/** Why the gate waits. */
export const gateWhy = ({ gate }: Status, texts: Texts, formats: Formats): string =>
  texts.say(`gate.cause.${text(gate.cause.code)}`, valuesOf(gate.cause, formats)) ?? gate.reason;

/** Why a machine takes no job. */
export function machineWhy({ cause, reason }: Machine, texts: Texts, formats: Formats): string {
  const { theirs, ours, status, seconds } = cause;
  const values = { theirs: text(theirs), ours: text(ours), status: text(status), time: formats.duration(number(seconds)) };
  return texts.say(`machines.cause.${text(cause.code)}`, values) ?? reason;
}

/** Why a job is not queued again; what ComfyUI itself has against it stays in ComfyUI's words. */
export function refusalWhy(refused: unknown, texts: Texts): string {
  const { cause, why, reason } = object(refused);
  const { code, what, state } = object(cause);
  const values = { what: text(what), state: texts.find(`jobs.state.${text(state)}`) ?? text(state) };
  return texts.say(`jobs.cause.${text(code)}`, values) ?? (text(why) || text(reason));
}

/** What the rest of freeing waits for; undefined where only the server's own words tell. */
export const deferredWhy = ({ code }: Json, texts: Texts): string | undefined => texts.say(`free.cause.${text(code)}`);

/** Why a job did not end well: the journal's own sentences; what a node or ComfyUI said stays in their words. */
export function errorWhy(error: string, texts: Texts): string {
  const [said = "", ...details] = error.split(": ");
  const own = texts.find(`jobs.error.${slug(said)}`);
  return own === undefined ? error : [own, ...details].join(": ");
}

/** What holds a card's clocks down: `hot (hardware), power cap`. */
export const heldWhy = (throttled: string, texts: Texts, formats: Formats): string =>
  formats.list(throttled.split(", ").map((held) => texts.find(`meters.held.${slug(held)}`) ?? held));

/** What is amiss at the server; undefined where only its own words tell. */
export function problemWhy(cause: unknown, texts: Texts, formats: Formats): string | undefined {
  const { code, node, still, longest } = object(cause);
  const values = { node: text(node), still: formats.duration(number(still)), longest: formats.duration(number(longest)) };
  return texts.say(`limits.cause.${text(code)}`, values);
}

/** What was done and why. In English the server's own sentence, which tells more. */
export function actionWords(action: Action, { state, texts, formats }: Pick<Context, "state" | "texts" | "formats">): string {
  const { cause, resource, level, rungs } = action;
  const known = state.status?.resources.find(({ key }) => key === resource);
  const name = known && state.status ? resourceName(known, state.status, texts) : resource.toUpperCase();
  const why = texts.say(`action.cause.${text(cause.code)}`, { ...valuesOf(cause, formats), name, level: texts.t(`level.${level}`) });
  if (/^en\b/.test(texts.spoken) || !why || !rungs.length) return action.text;
  const told = rungs.filter(({ freed }) => freed >= TELLING);
  const done = formats.list((told.length ? told : rungs).map((rung) => stepName(rung, texts)));
  const time = formats.duration(rungs.reduce((sum, { seconds }) => sum + seconds, 0));
  return texts.t(action.dryRun ? "action.would" : "action.did", { why, done, time, bytes: formats.bytes(action.freed) });
}

/** A step of the ladder, as `heap trim`; one that this panel does not know keeps the server's name. */
export const stepName = ({ name }: Rung, texts: Texts): string =>
  texts.find(`action.step.${name.replaceAll(" ", "_")}`) ?? name.replaceAll("_", " ");

/** The key of what the server says in few words: `hot (hardware)` → `hot_hardware`. */
const slug = (words: string): string => words.replace(/\W+/g, "_").replace(/_$/, "");

const valuesOf = (cause: Json, formats: Formats): Values => ({
  percent: formats.percent(number(cause.fraction)),
  below: formats.percent(number(cause.below)),
  limit: formats.bytes(number(cause.limit)),
  need: formats.bytes(number(cause.need)),
  node: text(cause.node),
  n: formats.count(number(cause.n)),
  total: formats.count(number(cause.total)),
});
