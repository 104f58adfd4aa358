/** The status object of `GET /resource_gate/status`, and a reader for it that takes what an older or newer server sends. */
import { readAction, type Action } from "./action";
import { level, type Level } from "./levels";
import { list, maybe, number, object, text, texts, type Json } from "./read";

export interface Tiers {
  warning: number;
  critical: number;
  emergency: number;
}

export interface Resource {
  /** `ram`, `cpu`, `vram0` …, `disk_output` … */
  key: string;
  /** Bytes; for `cpu` busy cores. */
  used: number;
  limit: number;
  /** 0–1, above 1 where a limit was lowered under use. */
  fraction: number;
  level: Level;
  tiers: Tiers | null;
  /** RAM: whose limit it is. */
  source: string;
  /** VRAM: the card. */
  name: string;
  /** Disk: where, and what for. */
  path: string;
  roles: string[];
  /** Disk: seconds until full at the present growth. */
  fullIn: number | null;
}

export interface Gpu {
  index: number;
  utilization: number | null;
  temperature: number | null;
  throttled: string;
  /** Bytes that count for no level: they give way by themselves. */
  evictable: number;
}

export interface Batch {
  done: number;
  total: number;
  failed: number;
  retried: number;
  /** Seconds left, and between which they probably lie. */
  eta: number | null;
  etaLow: number | null;
  etaHigh: number | null;
  restorable: number;
  quarantined: number;
  /** The gate closes when the running job ends. */
  stopping: boolean;
  startedAt: number | null;
}

export interface Status {
  version: string;
  /** Seconds since the epoch, on the server's clock; so are all other times. */
  time: number;
  host: { name: string; version: string };
  level: Level;
  resources: Resource[];
  process: { rss: number; peak: number; slack: number | null } | null;
  gpus: Gpu[];
  temp: { path: string; bytes: number; files: number; growth: number } | null;
  workerAlive: boolean | null;
  gate: { state: "open" | "waiting" | "paused"; reason: string; cause: Json; since: number | null; until: number | null };
  queue: { running: number; pending: number; node: string; progress: number | null };
  batch: Batch;
  lastAction: Action | null;
  degraded: Record<string, string>;
  /** Of what is degraded, as a code and its parts; only where the server tells them. */
  causes: Json;
  monitor: { interval: number; late: number; problems: Record<string, string> };
}

/** Read a status; null where `value` is none. What is missing in it becomes empty, what is unknown is left out. */
export function readStatus(value: unknown): Status | null {
  const data = object(value);
  if (typeof data.level !== "string" || typeof data.resources !== "object") return null;
  const [host, gate, queue, batch, monitor] = [data.host, data.gate, data.queue, data.batch, data.monitor].map(object) as [
    Json, Json, Json, Json, Json,
  ];
  return {
    version: text(data.version),
    time: number(data.time),
    host: { name: text(host.name), version: text(host.version) },
    level: level(data.level),
    resources: Object.entries(object(data.resources)).map(([key, one]) => readResource(key, object(one))),
    process: data.process ? readProcess(object(data.process)) : null,
    gpus: list(data.gpus).map((one) => readGpu(object(one))),
    temp: data.temp ? readTemp(object(data.temp)) : null,
    workerAlive: typeof data.worker_alive === "boolean" ? data.worker_alive : null,
    gate: {
      state: gate.state === "waiting" || gate.state === "paused" ? gate.state : "open",
      reason: text(gate.reason),
      cause: object(gate.cause),
      since: maybe(gate.since),
      until: maybe(gate.until),
    },
    queue: {
      running: list(queue.running).length,
      pending: number(queue.pending),
      node: text(queue.node),
      progress: maybe(queue.progress),
    },
    batch: readBatch(batch),
    lastAction: data.last_action ? readAction(data.last_action) : null,
    degraded: texts(data.degraded),
    causes: object(data.causes),
    monitor: { interval: number(monitor.interval), late: number(monitor.late), problems: texts(monitor.problems) },
  };
}

/** Read `status.batch`. */
export function readBatch(batch: Json): Batch {
  return {
    done: number(batch.done),
    total: number(batch.total),
    failed: number(batch.failed),
    retried: number(batch.retried),
    eta: maybe(batch.eta_seconds),
    etaLow: maybe(batch.eta_low),
    etaHigh: maybe(batch.eta_high),
    restorable: number(batch.restorable),
    quarantined: number(batch.quarantined),
    stopping: batch.stop_after_current === true || batch.state === "stopping",
    startedAt: maybe(batch.started_at),
  };
}

export function readResource(key: string, data: Json): Resource {
  const tiers = object(data.tiers);
  const [warning, critical, emergency] = [maybe(tiers.warning), maybe(tiers.critical), maybe(tiers.emergency)];
  return {
    key,
    used: number(data.used),
    limit: number(data.limit),
    fraction: number(data.fraction),
    level: level(data.level),
    tiers: warning !== null && critical !== null && emergency !== null ? { warning, critical, emergency } : null,
    source: text(data.source),
    name: text(data.name),
    path: text(data.path),
    roles: list(data.roles).map(text).filter(Boolean),
    fullIn: maybe(data.full_in),
  };
}

function readProcess(data: Json): Status["process"] {
  return { rss: number(data.rss), peak: number(data.peak), slack: maybe(data.heap_slack) };
}

function readGpu(data: Json): Gpu {
  return {
    index: number(data.index),
    utilization: maybe(data.utilization),
    temperature: maybe(data.temperature),
    throttled: text(data.throttled),
    evictable: number(data.evictable),
  };
}

function readTemp(data: Json): Status["temp"] {
  return { path: text(data.path), bytes: number(data.bytes), files: number(data.files), growth: number(data.growth) };
}
