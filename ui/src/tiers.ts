/** Levels: which resource explains the panel's level, and in which order resources are shown. */
import { LEVELS, type Level } from "./levels";
import type { Resource, Status } from "./status";

export const rank = (level: Level): number => LEVELS.indexOf(level);

/** Kind of a resource by its name. */
export function kindOf(key: string): "ram" | "vram" | "cpu" | "disk" | "other" {
  if (key === "ram" || key === "cpu") return key;
  if (key.startsWith("vram")) return "vram";
  if (key.startsWith("disk")) return "disk";
  return "other";
}

const ORDER = ["ram", "vram", "cpu", "disk", "other"];

/** RAM, the cards, CPU, disks, then what we do not know. */
export function inOrder(resources: readonly Resource[]): Resource[] {
  return [...resources].sort(
    (a, b) => ORDER.indexOf(kindOf(a.key)) - ORDER.indexOf(kindOf(b.key)) || a.key.localeCompare(b.key, "en", { numeric: true }),
  );
}

/** What can end a job; a busy CPU ends none, so it does not count. The server's level leaves it out as well. */
export const counts = (resource: Resource): boolean => kindOf(resource.key) !== "cpu";

/** The resource that best explains the level, and the others that are raised too; null without readings. */
export function culprit(status: Status): { resource: Resource; others: Resource[] } | null {
  const ranked = status.resources
    .filter(counts)
    .sort((a, b) => rank(b.level) - rank(a.level) || b.fraction - a.fraction);
  const [resource, ...rest] = ranked;
  return resource ? { resource, others: rest.filter((other) => rank(other.level) > 0) } : null;
}

/** What the icon in the sidebar says: most pressing first. */
export function badgeOf(status: Status): "high" | "waiting" | "paused" | null {
  if (rank(status.level) >= rank("critical")) return "high";
  if (status.gate.state !== "open") return status.gate.state;
  return rank(status.level) > 0 ? "high" : null;
}
