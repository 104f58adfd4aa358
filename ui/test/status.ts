/** A status as the server tells it, for tests. */
const GB = 1024 ** 3;
export const TIERS = { warning: 0.85, critical: 0.9, emergency: 0.95 };

export type Raw = ReturnType<typeof rawStatus>;

export const resource = (fraction: number, level = "normal", more: object = {}): object => ({
  used: fraction * 8 * GB,
  limit: 8 * GB,
  fraction,
  level,
  tiers: TIERS,
  ...more,
});

/** `time` in seconds since the epoch. */
export function rawStatus(time = 1000, change: object = {}) {
  return {
    version: __VERSION__,
    time,
    host: { name: "ComfyUI", version: "0.33.0" },
    level: "normal",
    resources: {
      ram: resource(0.5, "normal", { source: "cgroup v2 /a" }),
      cpu: { used: 1, limit: 4, fraction: 0.25, level: "normal", tiers: TIERS },
    } as Record<string, object>,
    process: { rss: GB, peak: 2 * GB, anonymous: GB, heap_slack: null },
    gpus: [] as object[],
    temp: { path: "/t", bytes: 0, files: 0, growth: 0 },
    worker_alive: true as boolean | null,
    gate: { state: "open", reason: "", since: null as number | null, until: null as number | null, job: null },
    queue: { running: [] as string[], pending: 0, node: "", progress: null as number | null },
    batch: { done: 0, total: 0, failed: 0, retried: 0, eta_seconds: null as number | null },
    last_action: null as object | null,
    degraded: {},
    monitor: { interval: 1, late: 0, problems: {} },
    ...change,
  };
}
