/** The machines of a batch runner: `GET /resource_gate/fleet`, which only its own dashboard serves. */
import { list, maybe, number, object, text, type Json } from "./read";
import { level, type Level } from "./levels";
import { readBatch, readResource, type Batch, type Resource } from "./status";

export interface Machine {
  name: string;
  url: string;
  state: string;
  reason: string;
  /** The reason as a code and its parts; empty where it is only told in words. */
  cause: Json;
  level: Level;
  ram: Resource | null;
  gpus: Resource[];
  job: { name: string; node: string; progress: number | null } | null;
  done: number;
  failed: number;
}

export interface Fleet {
  batch: Batch | null;
  machines: Machine[];
  dask: string;
}

export function readFleet(value: unknown): Fleet {
  const data = object(value);
  return { batch: data.batch ? readBatch(object(data.batch)) : null, machines: list(data.machines).map(readMachine), dask: webAddress(data.dask) };
}

function readMachine(value: unknown): Machine {
  const data = object(value);
  const job = object(data.job);
  return {
    name: text(data.name) || text(data.url),
    url: webAddress(data.url),
    state: text(data.state),
    reason: text(data.reason),
    cause: object(data.cause),
    level: level(data.level),
    ram: data.ram ? readResource("ram", object(data.ram)) : null,
    gpus: list(data.gpus).map((one, at) => readResource(`vram${at}`, asResource(object(one)))),
    job: data.job ? { name: text(job.name), node: text(job.node), progress: maybe(job.progress) } : null,
    done: number(data.done),
    failed: number(data.failed),
  };
}

/** What gives way by itself counts for no level, and so is left out of what is used. */
const asResource = (gpu: Json): Json => ({ ...gpu, limit: gpu.total, used: number(gpu.used) - number(gpu.evictable) });

/** Only what a link may point to. */
const webAddress = (value: unknown): string => (/^https?:\/\//.test(text(value)) ? text(value) : "");
