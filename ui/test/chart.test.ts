import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { firstFrom, linePath, nearest, ticks, xOf, yOf, type Frame } from "../src/chart";

const FRAME: Frame = { from: 1000, to: 1100, width: 200, height: 100 };
const line = (...used: (number | null)[]) => ({ used, limit: used.map(() => 10) });

describe("a line", () => {
  it("goes through each point that has a pixel column of its own", () => {
    expect(linePath([1000, 1050, 1100], line(0, 5, 10), FRAME)).toBe("M0 100L100 50L200 0");
  });

  it("keeps the first, lowest, highest and last of the points in one column", () => {
    const times = [1050, 1050.05, 1050.1, 1050.2, 1100];
    expect(linePath(times, line(5, 1, 9, 4, 4), FRAME)).toBe("M100 50L100 10L100 90L100 60L200 60");
  });

  it("comes in from the last point before the frame, and from none earlier", () => {
    expect(linePath([800, 950, 1050], line(1, 2, 3), FRAME)).toBe("M-100 80L100 70");
  });

  it("bridges what was not measured, and is empty where nothing was", () => {
    expect(linePath([1000, 1050, 1100], line(5, null, 5), FRAME)).toBe("M0 50L200 50");
    expect(linePath([1000, 1050], { used: [1, 2], limit: [null, null] }, FRAME)).toBe("");
    expect(linePath([], line(), FRAME)).toBe("");
  });

  it("stays inside where a limit was lowered under use", () => {
    expect(linePath([1000], { used: [20], limit: [10] }, FRAME)).toBe("M0 0");
  });
});

it("a place is told to a tenth of a pixel", () => {
  expect([xOf(FRAME, 1033.333), yOf(FRAME, 1 / 3)]).toEqual([66.7, 66.7]);
});

it("the first point from a time on is found at the ends too", () => {
  expect([900, 1000, 1001, 1050, 1051].map((time) => firstFrom([1000, 1050], time))).toEqual([0, 0, 1, 1, 2]);
});

describe("the point under a pixel", () => {
  it("is the nearest in time", () => {
    expect([0, 49, 51, 200].map((x) => nearest([1000, 1050, 1100], FRAME, x))).toEqual([0, 0, 1, 2]);
  });

  it("is none where there is none in the frame", () => {
    expect(nearest([], FRAME, 10)).toBeNull();
    expect(nearest([900], FRAME, 10)).toBeNull();
  });
});

describe("the times that are named", () => {
  it("are round on the clock of who reads them", () => {
    expect(ticks({ from: 1000, to: 1600, width: 300, height: 1 }, 0)).toEqual([1080, 1200, 1320, 1440, 1560]);
    expect(ticks({ from: 1000, to: 1600, width: 300, height: 1 }, 7)).toEqual([1087, 1207, 1327, 1447, 1567]);
  });

  it("are fewer where there is less room", () => {
    for (const width of [150, 300, 700]) {
      for (const span of [300, 900, 3600]) {
        const found = ticks({ from: 5000, to: 5000 + span, width, height: 1 }, 0);
        expect(found.length, `${width} px, ${span} s`).toBeGreaterThan(0);
        expect(found.length * 50).toBeLessThan(width + 50);
      }
    }
  });
});

it("each of eight cards has a line of its own look", () => {
  const rules = [...readFileSync(join(import.meta.dirname, "../src/forms.css"), "utf8").matchAll(/^ *([^{\n]*data-kind[^{\n]*)\{([^}\n]*)\}/gm)];
  const look = (card: string): string =>
    rules
      .filter(([, selector = ""]) => selector.includes(`="${card}"`) || selector.includes('^="vram"'))
      .map(([, , style]) => style)
      .join();
  const looks = [0, 1, 2, 3, 4, 5, 6, 7].map((card) => look(`vram${card}`));
  expect(new Set(looks).size, looks.join("\n")).toBe(8);
});
