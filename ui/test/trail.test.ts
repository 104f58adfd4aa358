import { describe, expect, it } from "vitest";
import { readStatus, type Status } from "../src/status";
import { readAction } from "../src/action";
import { SPAN, Trail } from "../src/trail";
import { rawStatus, resource } from "./status";

const status = (time: number, fraction = 0.5, vram?: number): Status =>
  readStatus(rawStatus(time, { resources: { ram: resource(fraction), ...(vram === undefined ? {} : { vram0: resource(vram) }) } })) as Status;
const point = (time: number, ram: number): object => ({ time, level: "normal", ram, ram_limit: 100 });

describe("the time line", () => {
  it("begins with what the server remembers, and goes on with what is pushed", () => {
    const trail = new Trail();
    trail.load({ points: [point(100.4, 10), point(105.2, 20)] });
    trail.add(status(110));
    expect(trail.times).toEqual([100, 105, 110]);
    expect(trail.lines.get("ram")?.used.slice(0, 2)).toEqual([10, 20]);
  });

  it("keeps what was pushed before the history came", () => {
    const trail = new Trail();
    trail.add(status(110));
    trail.add(status(112));
    trail.load([point(100, 10), point(110, 11)]);
    expect(trail.times).toEqual([100, 110, 112]);
  });

  it("keeps the highest reading of a second: peaks are what kills", () => {
    const trail = new Trail();
    for (const [time, fraction] of [[100.1, 0.5], [100.4, 0.9], [100.8, 0.6]] as const) trail.add(status(time, fraction));
    expect(trail.times).toEqual([100]);
    expect(trail.lines.get("ram")?.used[0]).toBeCloseTo(0.9 * 8 * 1024 ** 3);
  });

  it("has a gap where a card was not there", () => {
    const trail = new Trail();
    trail.add(status(100));
    trail.add(status(101, 0.5, 0.25));
    trail.add(status(102));
    expect(trail.lines.get("vram0")?.used.map((value) => value === null)).toEqual([true, false, true]);
  });

  it("holds an hour, however long it grows", () => {
    const trail = new Trail();
    for (let second = 0; second < 3 * SPAN; second++) trail.add(status(second + 1));
    expect(trail.times.length).toBeLessThanOrEqual(SPAN + 62);
    expect(trail.times.at(-1)).toBe(3 * SPAN);
    expect(trail.lines.get("ram")?.used.length).toBe(trail.times.length);
  });

  it("goes on where the server's clock was set back, and not only once it has caught up", () => {
    const trail = new Trail();
    trail.load([point(100, 10), point(4000, 20), point(4010, 21)]);
    trail.add(status(4020));
    trail.add(status(520));
    trail.add(status(521));
    expect(trail.times).toEqual([520, 521]);
    expect([...trail.lines.values()].map(({ used }) => used.length)).toEqual([2]);
    // A reading that was overtaken on its way is no such thing.
    trail.add(status(519));
    expect(trail.times).toEqual([520, 521]);
  });

  it("forgets actions after an hour", () => {
    const trail = new Trail();
    for (let minute = 0; minute < 180; minute++) trail.act(readAction({ time: minute * 60, level: "warning" }));
    expect(trail.actions).toHaveLength(61);
  });

  it("takes marks as they come, and none from nonsense", () => {
    const trail = new Trail();
    trail.loadMarks({ jobs: [{ id: "abcdefghij", start: 5, end: null, ok: null }], actions: [{ time: 6, level: "critical", text: "freed" }] });
    expect(trail.jobs).toEqual([{ id: "abcdefghij", title: "abcdefgh", start: 5, end: null, ok: null }]);
    expect(trail.actions).toMatchObject([{ time: 6, level: "critical", text: "freed", rungs: [] }]);
    trail.loadMarks("no");
    trail.load(7);
    expect([trail.jobs, trail.actions, trail.times]).toEqual([[], [], []]);
  });
});
