/** The jobs of `GET /resource_gate/batch`: one page of the journal, what runs now, what is set aside. */
import { list, maybe, number, object, text } from "./read";
import { level, type Level } from "./levels";

export interface Job {
  /** Order of arrival. */
  seq: number;
  id: string;
  title: string;
  /** `queued`, `running`, `done`, `failed`, `retried`, `quarantined`, `deleted` … */
  state: string;
  /** Whose: the id of a browser tab, empty for the API. */
  client: string;
  queuedAt: number;
  /** Seconds from queued to started, and from started to ended. */
  wait: number | null;
  seconds: number | null;
  /** Bytes; VRAM of the fullest card. */
  peakRam: number | null;
  peakVram: number | null;
  /** Bytes of RAM that it was expected to stay below. */
  expected: number | null;
  level: Level;
  actions: number;
  freed: number;
  retries: number;
  deaths: number;
  node: string;
  error: string;
  /** What the journal did not keep of it, such as a key. */
  stripped: string;
  restorable: boolean;
  canRetry: boolean;
}

export interface Running {
  id: string;
  title: string;
  node: string;
  progress: number | null;
  startedAt: number | null;
  peakRam: number | null;
}

export interface Jobs {
  rows: Job[];
  /** The `before` of the page behind; null at the end. */
  next: number | null;
  aside: Job[];
  /** What an earlier run left, in its order. */
  left: Job[];
  /** How many failed jobs could be queued again. */
  retryable: number | null;
  /** What the last batch came to. */
  summary: Summary | null;
  running: Running[];
  /** Why the journal does not work. */
  problem: string;
}

/** Read one page. */
export function readJobs(value: unknown): Jobs {
  const data = object(value);
  return {
    rows: list(data.jobs).map(readJob),
    next: maybe(data.next),
    aside: list(data.quarantined).map(readJob),
    left: list(data.left).map(readJob),
    retryable: maybe(data.retryable),
    summary: readSummary(data.summary),
    running: list(data.running).map(readRunning),
    problem: text(data.problem),
  };
}

/** A newer first page over what was there: older rows stay, so that a list that was unfolded stays unfolded. */
export function refreshed(before: Jobs | null, page: Jobs): Jobs {
  const last = page.rows.at(-1)?.seq;
  if (!before || last === undefined || page.next === null) return page;
  const older = before.rows.filter((row) => row.seq < last);
  // A gap between the two would hide rows: begin anew.
  if (!older.length || !before.rows.some((row) => row.seq >= last)) return page;
  return { ...page, rows: [...page.rows, ...older], next: before.next };
}

/** The page behind, put under what is there. */
export function extended(before: Jobs, page: Jobs): Jobs {
  const last = before.rows.at(-1)?.seq ?? Infinity;
  return { ...before, rows: [...before.rows, ...page.rows.filter((row) => row.seq < last)], next: page.next };
}

function readJob(value: unknown): Job {
  const data = object(value);
  const vram = Object.values(object(data.peak_vram)).map(number);
  return {
    seq: number(data.seq),
    id: text(data.id),
    title: text(data.title) || text(data.id).slice(0, 8),
    state: text(data.state),
    client: text(data.client),
    queuedAt: number(data.queued_at),
    wait: maybe(data.wait),
    seconds: maybe(data.seconds),
    peakRam: maybe(data.peak_ram),
    peakVram: vram.length ? Math.max(...vram) : null,
    expected: maybe(data.predicted),
    level: level(data.level),
    actions: number(data.actions),
    freed: number(data.freed),
    retries: number(data.retries),
    deaths: number(data.deaths),
    node: text(data.node),
    error: text(data.error),
    stripped: text(data.stripped),
    restorable: data.restorable === true,
    canRetry: data.can_retry === true,
  };
}

function readRunning(value: unknown): Running {
  const data = object(value);
  return {
    id: text(data.id),
    title: text(data.title) || text(data.id).slice(0, 8),
    node: text(data.node),
    progress: maybe(data.progress),
    startedAt: maybe(data.started_at),
    peakRam: maybe(data.peak_ram),
  };
}

/** What a batch came to, told with its end. */
export interface Summary {
  done: number;
  failed: number;
  retried: number;
  seconds: number | null;
  peakRam: number | null;
  freed: number;
  actions: number;
}

/** `resource_gate.batch`: what happened to a job or the batch. */
export interface BatchEvent {
  kind: string;
  title: string;
  /** Jobs it is about. */
  count: number;
  summary: Summary | null;
}

export function readBatchEvent(value: unknown): BatchEvent {
  const data = object(value);
  return { kind: text(data.kind), title: data.job ? readJob(data.job).title : "", count: maybe(data.count) ?? 1, summary: readSummary(data.summary) };
}

function readSummary(value: unknown): Summary | null {
  if (!value) return null;
  const summary = object(value);
  return {
    done: number(summary.done),
    failed: number(summary.failed),
    retried: number(summary.retried),
    seconds: maybe(summary.seconds),
    peakRam: maybe(summary.peak_ram),
    freed: number(summary.freed),
    actions: number(summary.actions),
  };
}
