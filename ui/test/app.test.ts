import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { App } from "../src/app";
import { RENEW } from "../src/lease";
import { PACE } from "../src/pace";
import { FakeShell } from "./fake_shell";
import { rawStatus, resource, type Raw } from "./status";

const START = 1_700_000_000;

beforeEach(() => {
  vi.useFakeTimers({ now: START * 1000 });
  document.body.replaceChildren();
});
afterEach(() => void vi.useRealTimers());

const status = (change: object = {}): Raw => rawStatus(Date.now() / 1000, change);

/** The app with its panel open in a tab, on a server that tells `first`. */
async function opened(first: Raw = status(), prepare: (shell: FakeShell) => void = () => undefined) {
  const shell = new FakeShell();
  shell.answer = { kind: "ok", data: first };
  prepare(shell);
  const app = new App(shell);
  app.start();
  await shell.contribution.ready();
  const host = document.body.appendChild(document.createElement("div"));
  shell.contribution.mount(host);
  await vi.advanceTimersByTimeAsync(100);
  const text = (selector: string): string => (host.querySelector(selector)?.textContent ?? "").replaceAll("\u00a0", " ");
  const push = async (change: object): Promise<void> => {
    shell.tell("status", status(change));
    await vi.advanceTimersByTimeAsync(PACE + 50);
  };
  const find = <T extends HTMLElement>(selector: string): T => host.querySelector<T>(selector) as T;
  return { shell, app, host, text, push, find };
}

describe("the panel", () => {
  it("tells the level in words, and why", async () => {
    const { text, push } = await opened();
    expect([text(".rg-word"), text(".rg-why")]).toEqual(["Normal", "Enough room. The fullest is RAM, at 50%."]);
    await push({ level: "critical", resources: { ram: resource(0.92, "critical"), vram0: resource(0.86, "warning") } });
    expect([text(".rg-word"), text(".rg-why")]).toEqual([
      "Critical",
      "RAM is at 92% of its limit, 655 MB left. Also high: VRAM.",
    ]);
  });

  it("shows a meter with its marks for each resource", async () => {
    const { host } = await opened();
    const meters = [...host.querySelectorAll<HTMLElement>('[role="meter"]')];
    expect(meters.map((meter) => meter.getAttribute("aria-label"))).toEqual(["RAM", "CPU"]);
    expect(meters[0]?.getAttribute("aria-valuenow")).toBe("50");
    expect(meters[0]?.getAttribute("aria-valuetext")?.replaceAll("\u00a0", " ")).toBe("4.0 of 8.0 GB, 50%, Normal");
    expect(["--warning", "--critical", "--emergency"].map((name) => meters[0]?.style.getPropertyValue(name))).toEqual([
      "85.0%",
      "90.0%",
      "95.0%",
    ]);
    expect(meters[1]?.getAttribute("aria-valuetext")).toBe("1.0 of 4 cores, 25%");
  });

  it("says whose limit it is", async () => {
    const { text, push } = await opened();
    expect(text(".rg-meters .rg-caption")).toBe("limit set by the container · 4.0 GB left");
    await push({ resources: { ram: resource(0.5, "normal", { source: "host" }) } });
    expect(text(".rg-meters .rg-caption")).toBe("all of this machine's memory · 4.0 GB left");
  });

  it("tells of weights that give way beside what a card holds for good", async () => {
    const resources = { vram0: resource(0.5, "normal", { name: "Card" }) };
    const { text, push } = await opened(status({ resources, gpus: [{ index: 0, evictable: 3 * 1024 ** 3 }] }));
    expect(text(".rg-meters .rg-caption").replaceAll("\u00a0", " ")).toBe("Card · 3.0 GB of weights beside it, which give way");
    await push({ resources, gpus: [{ index: 0, evictable: 0 }] });
    expect(text(".rg-meters .rg-caption")).toBe("Card");
  });

  it("does not cry out over a busy CPU", async () => {
    const { host } = await opened(status({ resources: { cpu: resource(1, "emergency") } }));
    expect(host.querySelector(".rg-resource")?.getAttribute("data-level")).toBe("normal");
  });

  it("tells what the gate waits for, how long it has, and how long it will", async () => {
    const now = START;
    const gate = { state: "waiting", reason: "RAM 87% of 8.0 GB", since: now - 12, until: now + 18, job: "b" };
    const { text, host } = await opened(status({ gate }));
    expect([text(".rg-gate .rg-pill"), text(".rg-reason")]).toEqual(["Waiting", "RAM 87% of 8.0 GB"]);
    expect(text(".rg-gate .rg-row span")).toBe("Waited 12 sec");
    expect(text(".rg-gate .rg-row span:last-child")).toMatch(/^18 sec left, until \d\d:\d\d:\d\d$/);
    await vi.advanceTimersByTimeAsync(9000);
    expect(text(".rg-gate .rg-row span")).toBe("Waited 21 sec");
    expect(host.querySelector(".rg-gate .rg-bar")?.getAttribute("aria-valuenow")).toBe("70");
  });

  it("tells how far the batch is", async () => {
    const { text, push, find } = await opened();
    expect(text(".rg-queue .rg-body > p")).toBe("Nothing is queued.");
    await push({
      queue: { running: ["a"], pending: 3, node: "12 KSampler", progress: 0.45 },
      batch: { done: 6, total: 10, failed: 1, retried: 2, eta_seconds: 400 },
    });
    expect(text(".rg-queue .rg-side")).toBe("6 of 10");
    expect(text(".rg-queue .rg-body > p:not([hidden])")).toMatch(/^about 7 min left · done at \d\d:\d\d$/);
    expect(text(".rg-node")).toBe("Running12 KSampler45%");
    expect(text(".rg-counts")).toBe("3 waiting1 failed2 retried");
    expect(find(".rg-queue .rg-bar").getAttribute("aria-valuenow")).toBe("70");
    await push({ batch: { done: 10, total: 10, failed: 0, retried: 2, eta_seconds: null } });
    expect(text(".rg-queue .rg-body > p")).toBe("The last batch is over.");
    expect(find(".rg-node").hidden).toBe(true);
  });

  it("tells the last action, its steps, and what it fell short of", async () => {
    const action = {
      time: START - 130,
      text: "RAM at 87%: trimmed the heap; 2.0 GB freed",
      freed: 2 * 1024 ** 3,
      goal: 3 * 1024 ** 3,
      met: false,
      rungs: [{ name: "trim_heap", freed: 2 * 1024 ** 3, seconds: 0.07, detail: "" }],
    };
    const { text, push } = await opened();
    expect(text(".rg-sentence")).toBe("Nothing had to be done so far.");
    await push({ last_action: action });
    expect([text(".rg-action .rg-side"), text(".rg-sentence")]).toEqual(["2 minutes ago", action.text]);
    expect(text(".rg-tags")).toBe("freed 2.0 GBshort of its goal of 3.0 GB");
    expect([text(".rg-action summary"), text(".rg-action ol li .rg-row")]).toEqual(["1 step", "trim heap2.0 GB · 70 ms"]);
  });

  it("lists what does not work here", async () => {
    const { text, push, find } = await opened();
    expect(find(".rg-limits").hidden).toBe(true);
    await push({ degraded: { brake: "no hook" }, monitor: { interval: 1, late: 0, problems: { nvml: "no driver" } } });
    expect(text(".rg-limits ul")).toBe("brake: no hookCannot read nvml: no driver");
    await push({ degraded: { stuck: "odd" }, causes: { stuck: { code: "stuck", node: "7 A", still: 1500, longest: 120 } }, monitor: {} });
    expect(text(".rg-limits ul")).toContain("A prompt seems stuck: node 7 A has shown no progress for 25 min.");
  });

  it("puts in text as text, whatever it holds", async () => {
    const { host, text } = await opened(status({ degraded: { x: "<img src=x onerror=alert(1)>" } }));
    expect(host.querySelector("img")).toBeNull();
    expect(text(".rg-limits li")).toBe("x: <img src=x onerror=alert(1)>");
  });

  it("changes in place: no element is made anew, and none is touched that has not changed", async () => {
    const { host, push } = await opened();
    await push({}); // The time line begins with its second point.
    await push({});
    const before = [...host.querySelectorAll("*")];
    await push({ resources: { ram: resource(0.6), cpu: resource(0.3) } });
    expect([...host.querySelectorAll("*")]).toEqual(before);
    const changes: MutationRecord[] = [];
    const observer = new MutationObserver((records) => changes.push(...records));
    observer.observe(host, { subtree: true, childList: true, attributes: true, characterData: true });
    await push({ resources: { ram: resource(0.6), cpu: resource(0.3) } });
    expect(changes.map((change) => `${(change.target as Element).className} ${change.attributeName}`)).toEqual([]);
  });

  it("draws every other second, however many events come, and at once when a job ends or the level rises", async () => {
    const { app, shell } = await opened();
    const draw = vi.spyOn(app.panel as unknown as { draw(): void }, "draw");
    for (let i = 0; i < 40; i++) {
      shell.tell("status", status());
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(draw.mock.calls.length).toBeGreaterThan(0);
    expect(draw.mock.calls.length).toBeLessThanOrEqual(3);
    for (const change of [{ batch: { done: 7, total: 20 } }, { level: "warning" }, { gate: { state: "waiting", since: START } }]) {
      draw.mockClear();
      shell.tell("status", status(change));
      await vi.advanceTimersByTimeAsync(1);
      expect(draw, JSON.stringify(change)).toHaveBeenCalledTimes(1);
    }
  });
});

describe("asking", () => {
  it("holds a lease while the panel is seen, and only then", async () => {
    const { shell } = await opened();
    const watched = (): number => shell.asked.filter((route) => route.includes("watch=me")).length;
    expect(watched()).toBe(1);
    await vi.advanceTimersByTimeAsync(2 * RENEW);
    expect(watched()).toBe(3);
    shell.contribution.unmount();
    await vi.advanceTimersByTimeAsync(10 * RENEW);
    expect(watched()).toBe(3);
  });

  it("asks anew when the connection is back", async () => {
    const { shell, text } = await opened();
    shell.tell("reconnecting", null);
    await vi.advanceTimersByTimeAsync(20);
    expect(text(".rg-notices")).toContain("does not answer");
    const statuses = (): number => shell.asked.filter((route) => route.includes("/status")).length;
    const before = statuses();
    shell.tell("reconnected", null);
    await vi.advanceTimersByTimeAsync(20);
    expect(statuses()).toBe(before + 1);
    expect(text(".rg-notices")).toBe("");
  });

  it("draws nothing while the panel is not seen, and all of it when it is", async () => {
    const { shell, host, text } = await opened();
    shell.contribution.unmount();
    shell.tell("status", status({ level: "warning", resources: { ram: resource(0.86, "warning") } }));
    await vi.advanceTimersByTimeAsync(100);
    shell.contribution.mount(host);
    expect(text(".rg-word")).toBe("Normal");
    await vi.advanceTimersByTimeAsync(50);
    expect(text(".rg-word")).toBe("Warning");
  });
});

describe("the buttons", () => {
  it("pause, and then resume", async () => {
    const { shell, find, push, text } = await opened();
    find("[data-deed=hold]").click();
    expect(shell.posted).toEqual([["/resource_gate/pause", {}]]);
    await vi.advanceTimersByTimeAsync(20);
    await push({ gate: { state: "paused", reason: "", since: START, until: null } });
    expect(text("[data-deed=hold]")).toBe("Resume");
    find("[data-deed=hold]").click();
    expect(shell.posted.at(-1)).toEqual(["/resource_gate/resume", {}]);
  });

  it("free memory, and tell what came of it for a while", async () => {
    const { shell, find, text } = await opened();
    shell.answer = { kind: "ok", data: { ok: true, freed: 1.5 * 1024 ** 3, actions: [], deferred: null } };
    find("[data-deed=free]").click();
    expect(shell.posted).toEqual([["/resource_gate/free", { level: "critical" }]]);
    shell.answer = { kind: "ok", data: status() };
    await vi.advanceTimersByTimeAsync(20);
    expect(text("[data-ok]")).toBe("Freed 1.5 GB.");
    await vi.advanceTimersByTimeAsync(15_000);
    expect(text("[data-ok]")).toBe("");
  });

  it("put back what the last run left, or forget it", async () => {
    const { shell, host, find, text, push } = await opened();
    const card = find("[data-deed=restore]").closest<HTMLElement>("section, .rg-card") as HTMLElement;
    expect(card.hidden).toBe(true);
    const batch = { done: 0, total: 0, failed: 0, retried: 0, eta_seconds: null, restorable: 3, quarantined: 1 };
    await push({ batch });
    expect(card.hidden).toBe(false);
    expect(card.textContent).toContain("3 jobs were still queued when the server ended.");
    shell.answer = { kind: "ok", data: {} };
    find("[data-deed=restore]").click();
    expect(shell.posted.at(-1)).toEqual(["/resource_gate/batch/restore", { discard: false }]);
    shell.answer = { kind: "ok", data: status({ batch }) };
    await vi.advanceTimersByTimeAsync(50);
    expect(text("[data-ok]")).toBe("They are queued again, in their order.");
    const left = [1, 2].map((seq) => ({ seq, id: `id${seq}`, title: `clip ${seq}`, restorable: true }));
    shell.answer = { kind: "ok", data: { jobs: [], left } };
    shell.tell("batch", { kind: "restored" });
    await vi.advanceTimersByTimeAsync(10_000);
    const asked = async (agrees: boolean): Promise<object | undefined> => {
      shell.agrees = agrees;
      find("[data-deed=discard]").click();
      await vi.advanceTimersByTimeAsync(50);
      return shell.posted.at(-1)?.[1];
    };
    expect(await asked(false), "their graphs would be gone for good").toEqual({ discard: false });
    expect(shell.questions).toEqual([["Discard", "3 jobs were still queued when the server ended.", ["clip 1", "clip 2", "and 1 more"]]]);
    find<HTMLInputElement>(".rg-restore input").click();
    await vi.advanceTimersByTimeAsync(50);
    expect(text("[data-deed=restore]")).toBe("Restore 1 job");
    expect(await asked(true)).toEqual({ discard: true, ids: ["id2"] });
    expect(shell.questions.at(-1)?.[2], "what was unticked is not lost, so it is not named").toEqual(["clip 2"]);
    expect(host.isConnected).toBe(true);
  });

  it("tell what has to wait for the running node", async () => {
    const { shell, find, text } = await opened();
    shell.answer = { kind: "ok", data: { ok: true, freed: 0, actions: [], deferred: "a node is running" } };
    find("[data-deed=free]").click();
    await vi.advanceTimersByTimeAsync(20);
    expect(text("[data-ok]")).toBe("Freed 0 B so far; a node is running.");
  });

  it("tell it in the user's language, where the server tells it in parts", async () => {
    const { shell, find, text } = await opened();
    shell.answer = { kind: "ok", data: { ok: true, freed: 0, actions: [], deferred: "odd", cause: { code: "node" } } };
    find("[data-deed=free]").click();
    await vi.advanceTimersByTimeAsync(20);
    expect(text("[data-ok]")).toBe("Freed 0 B so far; a node is running; models and cached outputs follow once it has ended.");
  });

  it("tell why it did not work", async () => {
    const { shell, find, text } = await opened();
    shell.answer = { kind: "refused", message: "level: no such level" };
    find("[data-deed=free]").click();
    await vi.advanceTimersByTimeAsync(20);
    expect(text("[data-ok]")).toBe("That did not work: level: no such level");
    expect(find("[data-ok]").dataset.ok).toBe("false");
  });

  it("do nothing while one of them is at work, or the server is away", async () => {
    const { shell, find } = await opened();
    find("[data-deed=free]").click();
    await vi.advanceTimersByTimeAsync(20);
    shell.tell("reconnecting", null);
    await vi.advanceTimersByTimeAsync(20);
    expect(find("[data-deed=free]").getAttribute("aria-disabled")).toBe("true");
    find("[data-deed=free]").click();
    find("[data-deed=hold]").click();
    expect(shell.posted).toHaveLength(1);
  });
});

describe("notices", () => {
  it.each([
    [{ kind: "missing" }, "The server part of Resource Gate is not loaded."],
    [{ kind: "unreachable" }, "The server does not answer."],
    [{ kind: "refused", message: "no" }, "The server refused to report its state: no"],
    [{ kind: "ok", data: { level: 7 } }, "The server refused to report its state: what it answers is not understood here"],
  ] as const)("%j is told in words", async (answer, words) => {
    const { text } = await opened(status(), (shell) => (shell.answer = answer));
    expect(text(".rg-notices")).toContain(words);
  });

  it("tell an older and a newer server part", async () => {
    const { text, push } = await opened(status({ version: "0.0.9" }));
    expect(text(".rg-notices")).toContain("Restart the server");
    await push({ version: "999.0.0" });
    expect(text(".rg-notices")).toContain("Reload this page");
    await push({});
    expect(text(".rg-notices")).toBe("");
  });

  it("tell a dead worker", async () => {
    const { text } = await opened(status({ worker_alive: false }));
    expect(text(".rg-notices")).toContain("The thread that runs prompts has ended");
  });
});

describe("the badge", () => {
  it("shows while something is high, and goes", async () => {
    const { shell, push } = await opened();
    await push({ level: "warning" });
    await push({ gate: { state: "paused" } });
    await push({});
    expect(shell.marks).toEqual(["!", "II", null]);
  });

  it("is kept right with the panel closed, by a look without a lease", async () => {
    const { shell } = await opened();
    shell.contribution.unmount();
    await vi.advanceTimersByTimeAsync(2000);
    shell.answer = { kind: "ok", data: status({ level: "critical" }) };
    shell.tell("queue", null);
    await vi.advanceTimersByTimeAsync(6000);
    expect(shell.marks).toEqual(["!"]);
    expect(shell.asked.at(-1)).toBe("/resource_gate/status");
  });

  it("stays away when the user does not want it, and then nothing is asked for it", async () => {
    const { shell, push } = await opened();
    await push({ level: "warning" });
    shell.contribution.badgeWanted(false);
    shell.contribution.entryWanted(false);
    expect(shell.marks).toEqual(["!", null]);
    shell.contribution.unmount();
    const before = shell.asked.length;
    shell.tell("queue", null);
    await vi.advanceTimersByTimeAsync(10 * RENEW);
    expect(shell.asked.length).toBe(before);
  });
});

it("the language can change while the page is open", async () => {
  const { shell, text, find } = await opened(status(), (shell) => {
    shell.texts = { ...shell.texts, zh: { resourceGate: { title: "资源闸门", level: { normal: "正常" } } } };
  });
  expect(text("h1")).toBe("Resource Gate");
  shell.language = "zh";
  await vi.advanceTimersByTimeAsync(1000);
  expect([text("h1"), text(".rg-word"), text("h2")]).toEqual(["资源闸门", "正常", "Gate"]);
  expect(find(".resource-gate").lang).toBe("zh");
});
