import type { Texts } from "../i18n";
import type { Resource, Status } from "../status";
import { kindOf } from "../tiers";

/** What a person calls a resource: `RAM`, `VRAM 1`, `Disk`; with several disks `Disk: output`. */
export function resourceName(resource: Resource, status: Status, texts: Texts): string {
  switch (kindOf(resource.key)) {
    case "ram":
      return texts.t("meters.ram");
    case "cpu":
      return texts.t("meters.cpu");
    case "vram": {
      const cards = status.resources.filter((other) => kindOf(other.key) === "vram").length;
      return cards > 1 ? texts.t("meters.vramNumber", { n: resource.key.slice(4) }) : texts.t("meters.vram");
    }
    case "disk": {
      const disks = status.resources.filter((other) => kindOf(other.key) === "disk").length;
      const [role] = roleNames(resource, texts);
      return disks > 1 && role ? texts.t("meters.diskOf", { role }) : texts.t("meters.disk");
    }
    default:
      return resource.key;
  }
}

/** Whose limit it is, in words: `limit set by the container`. */
export function sourceName(source: string, texts: Texts): string {
  const kind = source.startsWith("cgroup") ? "container" : source;
  return texts.find(`meters.source.${kind}`) ?? source;
}

/** What lies on a disk: `output`, `temp`. */
export const roleNames = (resource: Resource, texts: Texts): string[] =>
  resource.roles.map((role) => texts.find(`meters.role.${role}`) ?? role);
