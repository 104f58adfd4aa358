import { describe, expect, it } from "vitest";
import { readStatus, type Status } from "../src/status";
import { badgeOf, culprit, inOrder } from "../src/tiers";
import { rawStatus, resource } from "./status";

const read = (change: object): Status => readStatus(rawStatus(1000, change)) as Status;

describe("the resource that explains the level", () => {
  it("is the one at the highest level, not the fullest", () => {
    const status = read({ level: "critical", resources: { ram: resource(0.91, "critical"), disk_output: resource(0.94, "warning") } });
    expect(culprit(status)?.resource.key).toBe("ram");
    expect(culprit(status)?.others.map((one) => one.key)).toEqual(["disk_output"]);
  });

  it("is never the CPU", () => {
    const status = read({ resources: { cpu: resource(1, "emergency"), ram: resource(0.2) } });
    expect(culprit(status)?.resource.key).toBe("ram");
    expect(culprit(status)?.others).toEqual([]);
  });

  it("is none without readings", () => {
    expect(culprit(read({ resources: {} }))).toBeNull();
  });
});

it("resources are shown by kind, and the cards by number", () => {
  const keys = ["disk_output", "npu0", "vram10", "cpu", "vram2", "ram"];
  const status = read({ resources: Object.fromEntries(keys.map((key) => [key, resource(0.1)])) });
  expect(inOrder(status.resources).map((one) => one.key)).toEqual(["ram", "vram2", "vram10", "cpu", "disk_output", "npu0"]);
});

describe("the badge", () => {
  const gate = (state: string): object => ({ gate: { state, reason: "", since: null, until: null } });
  it.each([
    [{}, null],
    [gate("waiting"), "waiting"],
    [gate("paused"), "paused"],
    [{ level: "warning" }, "high"],
    [{ level: "warning", ...gate("waiting") }, "waiting"],
    [{ level: "critical", ...gate("paused") }, "high"],
  ])("for %j is %s", (change, badge) => {
    expect(badgeOf(read(change))).toBe(badge);
  });
});
