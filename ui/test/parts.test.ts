import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import english from "../../locales/en/main.json";
import { App } from "../src/app";
import { GAP } from "../src/loader";
import { PACE } from "../src/pace";
import type { Answer } from "../src/shell";
import { SAID_FOR } from "../src/state";
import { SETTLE } from "../src/views/thresholds";
import { FakeShell } from "./fake_shell";
import { rawStatus, resource } from "./status";

const START = 1_700_000_000;
const SCHEMA = {
  settings: { ram: { warning: 0.85 }, gate: { wait: 30 } },
  schema: {
    $defs: {
      Tiers: { properties: { warning: { default: 0.85, minimum: 0.01, maximum: 1, type: "number" } } },
      Gate: { properties: { wait: { default: 30, minimum: 0, maximum: 3600, type: "number" } } },
    },
    properties: { ram: { $ref: "#/$defs/Tiers" }, gate: { $ref: "#/$defs/Gate" } },
  },
  problems: [],
};

beforeEach(() => {
  vi.useFakeTimers({ now: START * 1000 });
  document.body.replaceChildren();
  localStorage.clear();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function opened(change: object = {}, prepare: (shell: FakeShell) => void = () => undefined) {
  const shell = new FakeShell();
  const ok = (data: unknown) => ({ kind: "ok", data }) as const;
  shell.answer = ok({});
  shell.routes = { "/resource_gate/status": ok(rawStatus(START, change)), "/resource_gate/settings": ok(SCHEMA) };
  prepare(shell);
  const app = new App(shell);
  app.start();
  await shell.contribution.ready();
  const host = document.body.appendChild(document.createElement("div"));
  shell.contribution.mount(host);
  const wait = (milliseconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(milliseconds);
  await wait(PACE + 100);
  const push = async (next: object): Promise<void> => {
    shell.tell("status", rawStatus(Date.now() / 1000, next));
    await wait(PACE + 50);
  };
  const find = <T extends HTMLElement>(selector: string): T => host.querySelector<T>(selector) as T;
  const text = (selector: string): string => (find(selector)?.textContent ?? "").replaceAll("\u00a0", " ");
  return { shell, app, host, wait, push, find, text, ok };
}

const batch = (more: object = {}): object => ({ done: 1, total: 4, failed: 0, retried: 0, eta_seconds: 600, ...more });

describe("the batch", () => {
  it("tells once how many failed when it is over", async () => {
    const { shell, push, wait, text, find } = await opened({ batch: batch({ failed: 1, retried: 2 }) });
    expect([text(".rg-counts"), find(".rg-counts").hidden]).toEqual(["1 failed2 retried", false]);
    const summary = { done: 3, failed: 1, retried: 2, seconds: 60, peak_ram: 0, freed: 0, actions: 0 };
    shell.tell("batch", { kind: "batch_ended", summary });
    await push({ batch: batch({ done: 3, failed: 1, retried: 2, quarantined: 1 }) });
    await wait(PACE);
    expect(text(".rg-summary")).toContain("3 done · 1 failed · 2 retried");
    expect(text(".rg-counts"), "what the summary does not tell stays").toBe("1 set aside");
  });

  it("tells the time left with its spread, and when that will be", async () => {
    const { text } = await opened({ batch: batch({ eta_low: 480, eta_high: 900 }), queue: { running: ["a"], pending: 2, node: "", progress: null } });
    expect(text(".rg-queue .rg-body > p:nth-child(4)")).toMatch(/^about 10 min left \(8 min to 15 min\) · done at \d\d:\d\d$/);
  });

  it("can be stopped after the running job, and taken up again", async () => {
    const queue = { running: ["a"], pending: 2, node: "", progress: null };
    const { shell, find, text, push } = await opened({ batch: batch(), queue });
    find("[data-deed=stop]").click();
    expect(shell.posted).toEqual([["/resource_gate/batch/stop", {}]]);
    await push({ queue, batch: batch({ state: "stopping", stop_after_current: true }) });
    expect([text(".rg-pill"), text("[data-deed=hold]")]).toEqual(["Stopping", "Resume"]);
    find("[data-deed=hold]").click();
    expect(shell.posted.at(-1)).toEqual(["/resource_gate/resume", {}]);
  });

  it("asks for its jobs when they change, and not with every event", async () => {
    const { shell, push, wait } = await opened({ batch: batch() });
    const asked = (): number => shell.asked.filter((route) => route.startsWith("/resource_gate/batch")).length;
    expect(asked()).toBe(1);
    for (let i = 0; i < 10; i++) await push({ batch: batch() });
    expect(asked()).toBe(1);
    for (let done = 2; done < 5; done++) shell.tell("status", rawStatus(Date.now() / 1000 + done, { batch: batch({ done }) }));
    await wait(GAP + 10);
    expect(asked()).toBe(2);
  });
});

describe("a change of settings", () => {
  it("is sent whole, by section, and only what was changed", async () => {
    const { shell, host, find, wait } = await opened();
    find<HTMLDetailsElement>(".rg-settings details").open = true;
    await wait(50);
    const input = host.querySelector<HTMLInputElement>('[data-field="gate.wait"] input') as HTMLInputElement;
    input.value = "45";
    input.dispatchEvent(new Event("input"));
    await wait(50);
    find("[data-deed=save]").click();
    expect(shell.posted).toEqual([["/resource_gate/settings", { gate: { wait: 45 } }]]);
  });

  it("that is refused is told at its field, with what stays in force, and nothing typed is lost", async () => {
    const { shell, host, find, text, wait } = await opened();
    find<HTMLDetailsElement>(".rg-settings details").open = true;
    await wait(50);
    const fields = [{ field: "gate.wait", problem: "too long", inForce: 30 }];
    shell.routes["POST /resource_gate/settings"] = { kind: "refused", message: "nothing was changed; gate.wait: too long", fields };
    const input = host.querySelector<HTMLInputElement>('[data-field="gate.wait"] input') as HTMLInputElement;
    input.value = "9999";
    input.dispatchEvent(new Event("input"));
    await wait(50);
    find("[data-deed=save]").click();
    await wait(50);
    expect(text('[data-field="gate.wait"] [role=alert]')).toBe("too long");
    expect(text(".rg-settings .rg-said")).toBe("That did not work: nothing was changed; gate.wait: too long. 30 stays in force.");
    expect(input.value).toBe("9999");
  });
});

describe("a threshold", () => {
  it("moved by keys is sent once, when they have come to rest, and stays between its neighbours", async () => {
    const { shell, find, wait } = await opened();
    find("[data-deed=adjust]").click();
    await wait(50);
    const mark = find('.rg-handle[data-level="critical"]');
    for (let i = 0; i < 8; i++) mark.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
    expect(mark.getAttribute("aria-valuenow")).toBe("95");
    expect(shell.posted).toEqual([]);
    await wait(SETTLE + 10);
    expect(shell.posted).toEqual([["/resource_gate/settings", { ram: { critical: 0.95 } }]]);
  });

  it("typed as nonsense changes nothing", async () => {
    const { shell, find, wait } = await opened();
    find("[data-deed=adjust]").click();
    await wait(50);
    const input = find<HTMLInputElement>(".rg-typed input");
    input.value = "lots";
    input.dispatchEvent(new Event("change"));
    expect([input.value, shell.posted]).toEqual(["85", []]);
  });

  it("of disks and cards is moved at the first of them", async () => {
    const { host, find, wait } = await opened({ resources: { vram0: resource(0.1), vram1: resource(0.2) } });
    find("[data-deed=adjust]").click();
    await wait(50);
    const shown = [...host.querySelectorAll<HTMLElement>(".rg-thresholds")].map((one) => !one.hidden);
    expect(shown).toEqual([true, false]);
  });
});

describe("news", () => {
  it("are told of an emergency, once a minute at most", async () => {
    const { shell, push, wait } = await opened();
    const high = { level: "emergency", resources: { ram: resource(0.97, "emergency") } };
    for (const next of [high, {}, high]) await push(next);
    expect(shell.toasts.map((news) => news.text)).toEqual(["Emergency: RAM is at 97% of its limit."]);
    await wait(60_000);
    for (const next of [{}, high]) await push(next);
    expect(shell.toasts).toHaveLength(2);
  });

  it("are told of a job that is set aside, and not again after a reload", async () => {
    const first = await opened({ batch: batch({ quarantined: 1 }) });
    expect(first.shell.toasts.map((news) => news.text)).toEqual(["1 job is set aside: the server died with it."]);
    const second = await opened({ batch: batch({ quarantined: 1 }) });
    expect(second.shell.toasts).toEqual([]);
  });

  it("of the end of a batch go to the browser, where it is allowed and nobody looks", async () => {
    const shown: string[] = [];
    class FakeNotification {
      static permission = "granted";
      constructor(title: string, options: { body: string }) {
        shown.push(`${title}: ${options.body}`);
      }
    }
    vi.stubGlobal("Notification", FakeNotification);
    const { shell, ok } = await opened();
    const ended = { kind: "batch_ended", summary: { done: 3, failed: 0, retried: 0, seconds: 60, peak_ram: 0, freed: 0, actions: 0 } };
    shell.tell("batch", ended);
    expect(shown).toEqual([]);
    vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
    shell.tell("batch", ended);
    expect(shown.map((one) => one.replaceAll("\u00a0", " "))).toEqual(["The batch is over: 3 done · took 1 min"]);
    expect(shell.toasts, "a batch that ends is no alarm").toEqual([]);
    expect(ok({}).kind).toBe("ok");
  });
});

describe("the entry beside Run", () => {
  it("shows the level, says why, and goes when it is not wanted", async () => {
    const { shell, push } = await opened();
    await push({ level: "critical", resources: { ram: resource(0.92, "critical") } });
    expect(shell.entries.at(-1)).toMatchObject({ level: "critical", word: "Critical" });
    expect(shell.entries.at(-1)?.why).toContain("RAM is at 92%");
    shell.contribution.entryWanted(false);
    expect(shell.entries.at(-1)).toBeNull();
    shell.tell("reconnecting", null);
    shell.contribution.entryWanted(true);
    expect(shell.entries.at(-1)?.level).toBe("unknown");
  });
});

it("a setting is described by what it does, for the pointer and for a screen reader", async () => {
  const { find, wait } = await opened();
  find<HTMLDetailsElement>(".rg-settings details").open = true;
  await wait(2 * GAP);
  const field = find('[data-field="gate.wait"]');
  const help = "A prompt that does not fit waits this long for memory to fall.";
  const [first] = (field.querySelector("input")?.getAttribute("aria-describedby") ?? "").split(" ");
  expect([field.title, document.getElementById(first ?? "")?.textContent]).toEqual([help, help]);
});

it("the batch's bar ends in what failed", async () => {
  const { find } = await opened({ batch: batch({ done: 2, failed: 1 }) });
  const { style } = find(".rg-queue .rg-bar");
  expect([style.getPropertyValue("--at"), style.getPropertyValue("--failed")]).toEqual(["75%", "25%"]);
});

describe("a reset of all settings", () => {
  const OTHER = { ...SCHEMA, settings: { ram: { warning: 0.8 }, gate: { wait: 30 } } };

  async function withSettings(settings: object) {
    const panel = await opened({}, (shell) => (shell.routes["/resource_gate/settings"] = { kind: "ok", data: settings }));
    panel.find<HTMLDetailsElement>(".rg-settings details").open = true;
    await panel.wait(2 * GAP);
    return panel;
  }

  it("says what is lost, and is sent only if that is agreed to", async () => {
    const { shell, find, wait } = await withSettings(OTHER);
    const resets = (): number => shell.posted.filter(([route]) => route.endsWith("settings/reset")).length;
    shell.agrees = false;
    find("[data-deed=reset]").click();
    await wait(100);
    expect(shell.questions).toEqual([["Reset all settings?", expect.stringContaining("is lost"), ["RAM levels, Warning from: 80 % → 85 %"]]]);
    expect(resets()).toBe(0);
    shell.agrees = true;
    find("[data-deed=reset]").click();
    await wait(100);
    expect(resets()).toBe(1);
  });

  it("cannot be asked for where nothing would be lost", async () => {
    const { shell, find } = await withSettings(SCHEMA);
    find("[data-deed=reset]").click();
    expect(find("[data-deed=reset]").getAttribute("aria-disabled")).toBe("true");
    expect(shell.questions).toEqual([]);
  });
});

describe("texts", () => {
  it("that could not be loaded are loaded when the server is there, and until then the main thing is said", async () => {
    const { shell, text, wait } = await opened({}, (one) => (one.texts = {}));
    expect([text("h1"), text(".rg-word")]).toEqual(["Resource Gate", "Normal"]);
    shell.texts = { en: english };
    await wait(16_000);
    expect(text(".rg-gate h2")).toBe("Gate");
  });
});

it("only a page of its own asks for machines, and no more where there are none", async () => {
  const inside = await opened();
  expect(inside.shell.asked.filter((route) => route.includes("fleet"))).toEqual([]);
  const missing = { kind: "missing" } as const;
  const alone = await opened({}, (shell) => {
    shell.standalone = true;
    shell.routes["/resource_gate/fleet"] = missing;
  });
  await alone.wait(10 * GAP);
  expect(alone.shell.asked.filter((route) => route.includes("fleet"))).toHaveLength(1);
  const machines = [{ name: "a", url: "javascript:alert(1)", state: "idle", level: "normal", ram: null, gpus: [], job: null, done: 2, failed: 0 }];
  const fleet = await opened({}, (shell) => {
    shell.standalone = true;
    shell.routes["/resource_gate/fleet"] = { kind: "ok", data: { batch: null, machines, dask: null } };
  });
  expect(fleet.text(".rg-machines li")).toContain("a");
  expect(fleet.find(".rg-machines a").hasAttribute("href"), "only web addresses are linked").toBe(false);
});

it("a runner's dashboard, which measures nothing, shows machines, batch and jobs, and is not called broken", async () => {
  const machines = [{ name: "http://a:8188", url: "http://a:8188", state: "resting", reason: "3 errors", cause: { code: "late" }, level: "normal", ram: null, gpus: [], job: null, done: 2, failed: 0 }];
  const { host, find, text, wait, shell } = await opened({}, (one) => {
    one.standalone = true;
    one.routes["/resource_gate/status"] = { kind: "missing" };
    one.routes["/resource_gate/fleet"] = { kind: "ok", data: { batch: { done: 2, total: 5, failed: 1, retried: 0, eta_seconds: 60 }, machines } };
    one.routes["/resource_gate/batch"] = { kind: "ok", data: { jobs: [{ seq: 1, id: "one", title: "clip", state: "done" }], next: null } };
  });
  expect(find(".resource-gate").hasAttribute("data-runner")).toBe(true);
  expect([text(".rg-link"), text(".rg-notices"), text(".rg-queue .rg-side")]).toEqual(["Live", "", "2 of 5"]);
  expect(text(".rg-machines .rg-state")).toBe("Resting after errors");
  expect(text(".rg-machines .rg-caption")).toContain("A job did not end in the time given for it");
  expect(find(".rg-machines .rg-state").getAttribute("title"), "the server's own words").toBe("3 errors");
  find<HTMLDetailsElement>(".rg-queue details").open = true;
  await wait(2 * GAP);
  expect(text(".rg-queue .rg-jobs:not([hidden]) li")).toContain("clip");
  expect(find("[data-deed=retry]").hidden, "it takes no commands").toBe(true);
  expect(shell.asked.filter((route) => route.includes("fleet")).length).toBeGreaterThan(1);
  expect(host.querySelectorAll(".rg-machines li")).toHaveLength(1);
});

describe("settings that are being sent", () => {
  async function sending() {
    const panel = await opened();
    panel.find<HTMLDetailsElement>(".rg-settings details").open = true;
    await panel.wait(2 * GAP);
    const type = async (path: string, value: string): Promise<void> => {
      const input = panel.find<HTMLInputElement>(`[data-field="${path}"] input`);
      input.value = value;
      input.dispatchEvent(new Event("input"));
      await panel.wait(50);
    };
    let answered: (answer: Answer) => void = () => undefined;
    const post = panel.shell.post;
    panel.shell.post = (...asked) => (void post(...asked), new Promise((resolve) => (answered = resolve)));
    await type("gate.wait", "45");
    panel.find("[data-deed=save]").click();
    const taken = async (settings: object): Promise<void> => {
      const now = panel.ok({ ...SCHEMA, settings });
      panel.shell.routes["/resource_gate/settings"] = now;
      answered(now);
      await panel.wait(2 * GAP);
    };
    return { ...panel, type, taken };
  }

  it("take nothing of what was typed meanwhile with them", async () => {
    const { find, type, taken, shell } = await sending();
    await type("ram.warning", "80");
    await taken({ ram: { warning: 0.85 }, gate: { wait: 45 } });
    expect(find<HTMLInputElement>('[data-field="ram.warning"] input').value).toBe("80");
    expect(find('[data-field="gate.wait"]').hasAttribute("data-changed")).toBe(false);
    find("[data-deed=save]").click();
    expect(shell.posted.at(-1)).toEqual(["/resource_gate/settings", { ram: { warning: 0.8 } }]);
  });

  it("are not typed over by their own answer where they were changed once more", async () => {
    const { find, type, taken } = await sending();
    await type("gate.wait", "60");
    await taken({ ram: { warning: 0.85 }, gate: { wait: 45 } });
    expect(find<HTMLInputElement>('[data-field="gate.wait"] input').value).toBe("60");
  });

  it("are no longer changed where they were folded away meanwhile", async () => {
    const { find, taken, wait } = await sending();
    const fold = find<HTMLDetailsElement>(".rg-settings details");
    fold.open = false;
    await taken({ ram: { warning: 0.85 }, gate: { wait: 45 } });
    await wait(SAID_FOR + 2000);
    fold.open = true;
    await wait(2 * GAP);
    expect(find('[data-field="gate.wait"]').hasAttribute("data-changed")).toBe(false);
  });

  it("are no longer changed where the environment wins over them", async () => {
    const { find, taken } = await sending();
    await taken({ ram: { warning: 0.85 }, gate: { wait: 30 } });
    expect(find<HTMLInputElement>('[data-field="gate.wait"] input').value).toBe("30");
  });
});

it("what freeing costs is asked anew by who comes back to it", async () => {
  const costs = (bytes: number): object => ({ deferred: null, critical: { bytes, reruns: 0, reloads: [] } });
  const { find, text, shell, wait, ok } = await opened({}, (one) => (one.routes["/resource_gate/free/costs"] = { kind: "ok", data: { deferred: "a node runs" } }));
  const look = async (): Promise<void> => {
    find(".rg-free").dispatchEvent(new Event("pointerenter"));
    await wait(2 * GAP);
  };
  await look();
  expect(text(".rg-free")).toContain(english.resourceGate.free.cost.later);
  shell.routes["/resource_gate/free/costs"] = ok(costs(3 * 1024 ** 3));
  await look();
  expect(text(".rg-free")).toContain("3.0 GB");
  expect(shell.asked.filter((route) => route.endsWith("free/costs"))).toHaveLength(2);
});
