import { describe, expect, it } from "vitest";
import { Formats } from "../src/format";

const GB = 1024 ** 3;
const plain = (text: string): string => text.replaceAll("\u00a0", " ");

describe("amounts of memory", () => {
  const formats = new Formats("en");
  it.each([
    [0, "0 B"],
    [812 * 1024 ** 2, "812 MB"],
    [0.96 * GB, "1.0 GB"],
    [7.34 * GB, "7.3 GB"],
    [99.96 * GB, "100 GB"],
    [2.5 * 1024 * GB, "2.5 TB"],
    [-2 * GB, "-2.0 GB"],
  ])("%d bytes read as %s", (bytes, text) => {
    expect(plain(formats.bytes(bytes))).toBe(text);
  });

  it("keep their unit on the same line", () => {
    expect(formats.bytes(GB)).toBe("1.0\u00a0GB");
  });

  it("are told in the unit of the limit when there is one", () => {
    expect(formats.bytesPair(300 * 1024 ** 2, 8 * GB).map(plain)).toEqual(["0.3", "8.0 GB"]);
  });
});

describe("shares", () => {
  const formats = new Formats("en");
  it("read as full only when they are", () => {
    expect(formats.percent(0.997)).toBe("99%");
    expect(formats.percent(1)).toBe("100%");
    expect(formats.percent(1.07)).toBe("107%");
  });

  it("follow the language", () => {
    expect(plain(new Formats("fr").percent(0.5).replaceAll("\u202f", " "))).toBe("50 %");
  });
});

describe("times", () => {
  const formats = new Formats("en");
  it.each([
    [0.0002, "1 ms"],
    [0.071, "71 ms"],
    [0.1, "0.1 sec"],
    [12.4, "12 sec"],
    [59.6, "1 min"],
    [200, "3 min, 20 sec"],
    [3600, "1 hr"],
    [3900, "1 hr, 5 min"],
    [90000, "1 day, 1 hr"],
    [-3, "0 sec"],
  ])("%d seconds last %s", (seconds, text) => {
    expect(formats.duration(seconds)).toBe(text);
  });

  it("are rounded to minutes where rough is enough, but not when short", () => {
    expect(formats.duration(1580, true)).toBe("26 min");
    expect(formats.duration(200, true)).toBe("3 min, 20 sec");
  });

  it("lie in the past by words", () => {
    expect([2, 59, 130, 7200, 90000].map((s) => formats.ago(s))).toEqual([
      "now",
      "59 seconds ago",
      "2 minutes ago",
      "2 hours ago",
      "yesterday",
    ]);
  });

  it("are in the user's language", () => {
    expect(new Formats("zh").duration(200)).toBe("3分钟20秒");
  });
});

it("a list reads as one in each language", () => {
  expect(new Formats("en").list(["output", "temp", "database"])).toBe("output, temp, and database");
  expect(new Formats("zh").list(["输出", "临时"])).toBe("输出和临时");
});

it("a language that the browser does not know counts as English", () => {
  expect(new Formats("tlh").locale).toBe("en");
});
