import { describe, expect, it } from "vitest";
import { after, empty, SAID_FOR, serverTime, versionGap, type State } from "../src/state";
import { rawStatus } from "./status";

const NOW = 1_000_000;
const live = (time = 1000, now = NOW): State => after(empty(), { type: "pushed", data: rawStatus(time), now });

describe("the connection", () => {
  it("is live with the first status, pushed or asked for", () => {
    expect(live().link).toBe("live");
    expect(after(empty(), { type: "answer", answer: { kind: "ok", data: rawStatus() }, now: NOW }).link).toBe("live");
  });

  it("is lost without an answer, and keeps the last readings", () => {
    const state = after(live(), { type: "answer", answer: { kind: "unreachable" }, now: NOW });
    expect(state.link).toBe("lost");
    expect(state.status?.resources).toHaveLength(2);
  });

  it("is lost at once when the WebSocket breaks, and live with the next status", () => {
    const lost = after(live(), { type: "reconnecting" });
    expect(lost.link).toBe("lost");
    expect(after(lost, { type: "pushed", data: rawStatus(1001), now: NOW }).link).toBe("live");
  });

  it("tells a server without our part from one that refuses", () => {
    expect(after(empty(), { type: "answer", answer: { kind: "missing" }, now: NOW }).link).toBe("missing");
    const refused = after(empty(), { type: "answer", answer: { kind: "refused", message: "no" }, now: NOW });
    expect([refused.link, refused.message]).toEqual(["refused", "no"]);
  });

  it.each([null, 7, "text", [], {}, { level: "normal" }])("takes %j for no status", (data) => {
    expect(after(empty(), { type: "pushed", data, now: NOW }).link).toBe("refused");
  });
});

describe("a status", () => {
  it("that was overtaken by a newer one is dropped", () => {
    const state = live(1002);
    expect(after(state, { type: "pushed", data: rawStatus(1001), now: NOW })).toBe(state);
  });

  it("from a server whose clock was set back is taken", () => {
    expect(after(live(1002), { type: "pushed", data: rawStatus(100), now: NOW }).status?.time).toBe(100);
  });

  it("of an unknown form reads as far as it can", () => {
    const odd = { level: "catastrophe", resources: { ram: { used: "x" }, npu0: null }, gate: { state: "ajar" }, gpus: 7 };
    const { status } = after(empty(), { type: "pushed", data: odd, now: NOW });
    expect(status?.level).toBe("normal");
    expect(status?.gate.state).toBe("open");
    expect(status?.resources.map((one) => [one.key, one.used, one.tiers])).toEqual([
      ["ram", 0, null],
      ["npu0", 0, null],
    ]);
  });

  it("takes over an action told by itself", () => {
    const state = after(live(), { type: "action", data: { time: 999, text: "trimmed", freed: 5 } });
    expect(state.status?.lastAction).toMatchObject({ text: "trimmed", freed: 5, met: true });
    const nothing = empty();
    expect(after(nothing, { type: "action", data: {} })).toBe(nothing);
  });
});

describe("the server's clock", () => {
  it("is known by the freshest sample seen", () => {
    let state = live(1000, NOW); // 1000 s here as there: no skew
    expect(serverTime(state, NOW)).toBe(1000);
    state = after(state, { type: "pushed", data: rawStatus(1001), now: NOW + 5000 }); // a sample 4 s old
    expect(serverTime(state, NOW + 5000)).toBe(1005);
  });

  it("that was set anew is believed", () => {
    const state = after(live(), { type: "pushed", data: rawStatus(500), now: NOW });
    expect(serverTime(state, NOW)).toBe(500);
  });
});

describe("a command", () => {
  it("shows as busy, then what came of it, then nothing", () => {
    const busy = after(live(), { type: "busy", place: "free" });
    expect(busy.busy).toBe("free");
    const said = after(busy, { type: "said", place: "free", ok: true, text: "Freed", now: NOW });
    expect([said.busy, said.said?.text]).toEqual([null, "Freed"]);
    expect(after(said, { type: "tick", now: NOW + SAID_FOR - 1 })).toBe(said);
    expect(after(said, { type: "tick", now: NOW + SAID_FOR }).said).toBeNull();
  });
});

describe("versions", () => {
  it.each([
    ["0.1.0", "0.1.0", null],
    ["", "0.1.0", null],
    ["0.2.0", "0.10.0", "older"],
    ["1.0.0", "0.10.0", "newer"],
    ["0.1", "0.1.0", null],
  ])("server %s, panel %s: %s", (server, panel, gap) => {
    expect(versionGap(server, panel)).toBe(gap);
  });
});
