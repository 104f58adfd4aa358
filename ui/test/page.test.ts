import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { chooseLocale, inForeignFrame, pageShell } from "../src/page";
import type { Contribution } from "../src/shell";

/** A WebSocket that the test opens, feeds and closes. */
class FakeSocket extends EventTarget {
  static all: FakeSocket[] = [];
  constructor(readonly url: URL) {
    super();
    FakeSocket.all.push(this);
  }
  say(data: unknown): void {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }
}

const socket = (): FakeSocket => FakeSocket.all.at(-1) as FakeSocket;

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  vi.stubGlobal("WebSocket", FakeSocket);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the page's WebSocket", () => {
  it("stands below the page's own address, under the id that the lease is for", () => {
    const shell = pageShell({ base: "/comfy", root: "r" });
    expect(socket().url.protocol).toBe("ws:");
    expect(socket().url.pathname).toBe("/comfy/ws");
    expect(socket().url.searchParams.get("clientId")).toBe(shell.clientId());
    expect(shell.clientId()).toMatch(/^[0-9a-f]{32}$/);
  });

  it("brings statuses, actions and changes of the queue, and nothing else", () => {
    const shell = pageShell({ base: "", root: "r" });
    const [status, action, queue] = [vi.fn(), vi.fn(), vi.fn()];
    shell.on("status", status);
    shell.on("action", action);
    shell.on("queue", queue);
    socket().say(JSON.stringify({ type: "resource_gate.status", data: { level: "normal" } }));
    socket().say(JSON.stringify({ type: "resource_gate.action", data: { freed: 1 } }));
    socket().say(JSON.stringify({ type: "status", data: {} }));
    socket().say(JSON.stringify({ type: "progress", data: {} }));
    socket().say(new Blob());
    expect([status.mock.calls, action.mock.calls, queue.mock.calls]).toEqual([[[{ level: "normal" }]], [[{ freed: 1 }]], [[null]]]);
  });

  it("does not even read what is measured while nobody looks, but all else", () => {
    const shell = pageShell({ base: "", root: "r" });
    const [status, batch] = [vi.fn(), vi.fn()];
    shell.on("status", status);
    shell.on("batch", batch);
    const seen = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
    const parse = vi.spyOn(JSON, "parse");
    socket().say('{"type": "resource_gate.status", "data": {}}');
    expect(parse).not.toHaveBeenCalled();
    socket().say('{"type": "resource_gate.batch", "data": {}}');
    seen.mockReturnValue("visible");
    socket().say('{"type": "resource_gate.status", "data": {}}');
    expect([status.mock.calls.length, batch.mock.calls.length]).toEqual([1, 1]);
  });

  it("reads the first of many readings and the newest, and what else comes in its order", () => {
    const shell = pageShell({ base: "", root: "r" });
    const told: unknown[] = [];
    shell.on("status", (data) => told.push(data));
    shell.on("action", (data) => told.push(data));
    for (let n = 0; n < 5; n++) socket().say(`{"type": "resource_gate.status", "data": ${n}}`);
    expect(told).toEqual([0]);
    socket().say('{"type": "resource_gate.action", "data": "freed"}');
    expect(told).toEqual([0, 4, "freed"]);
  });

  it("is opened again and again when it breaks, and tells when it is back", () => {
    const shell = pageShell({ base: "", root: "r" });
    const told: string[] = [];
    shell.on("reconnecting", () => told.push("gone"));
    shell.on("reconnected", () => told.push("back"));
    socket().dispatchEvent(new Event("open"));
    socket().dispatchEvent(new Event("close"));
    vi.advanceTimersByTime(500);
    socket().dispatchEvent(new Event("close"));
    vi.advanceTimersByTime(999);
    expect(FakeSocket.all).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(FakeSocket.all).toHaveLength(3);
    socket().dispatchEvent(new Event("open"));
    expect(told).toEqual(["gone", "gone", "back"]);
  });
});

describe("the page's language", () => {
  it.each([
    ["ja", ["en"], [], "ja"],
    [null, ["fr", "zh-CN", "en"], ["zh"], "zh-CN"],
    [null, ["fr", "en-GB", "zh"], ["zh"], "en-GB"],
    [null, ["fr"], ["zh"], "en"],
  ])("asked %s, wanted %j, known %j: %s", (asked, wanted, known, chosen) => {
    expect(chooseLocale(asked, wanted, known)).toBe(chosen);
  });
});

it("the badge stands in the page's title", () => {
  document.title = "Resource Gate";
  const shell = pageShell({ base: "", root: "r" });
  shell.badge("!");
  shell.badge("…");
  expect(document.title).toBe("… | Resource Gate");
  shell.badge(null);
  expect(document.title).toBe("Resource Gate");
});

describe("the page in a frame", () => {
  const other = { location: { get href(): string { throw new DOMException("Blocked", "SecurityError"); } } };
  const own = { location: { href: "http://localhost/" } };

  it.each([
    ["of another site", { top: other }, true],
    ["of its own site", { top: own }, false],
  ])("%s", (_, view, foreign) => {
    expect(inForeignFrame(view as never)).toBe(foreign);
  });

  it("that is none is no stranger's", () => {
    expect(inForeignFrame(window)).toBe(false);
  });

  it("of another site shows no button that could be clicked unseen, but a link to itself", async () => {
    document.body.innerHTML = '<main id="r"></main>';
    const mount = vi.fn();
    const contribution = { ready: () => Promise.resolve(), title: () => "Resource Gate", mount } as unknown as Contribution;
    pageShell({ base: "", root: "r" }, { top: other } as never).present(contribution);
    await vi.advanceTimersByTimeAsync(0);
    expect(mount).not.toHaveBeenCalled();
    const link = document.querySelector<HTMLAnchorElement>("#r > a");
    expect([link?.textContent, link?.href, link?.target]).toEqual(["Resource Gate", location.href, "_blank"]);
    pageShell({ base: "", root: "r" }).present(contribution);
    await vi.advanceTimersByTimeAsync(0);
    expect(mount).toHaveBeenCalledOnce();
  });
});
