import { beforeEach, describe, expect, it, vi } from "vitest";
import { comfyShell, ENTRY_PATIENCE } from "../src/comfy";
import type { Contribution } from "../src/shell";

/** ComfyUI's `app` and `api`, as far as we use them. */
function comfyui(respond: (route: string, options?: RequestInit) => Response = () => Response.json({})) {
  const extensions: ComfyExtension[] = [];
  const tabs: ComfySidebarTab[] = [];
  const toasts: { severity: string; detail?: string }[] = [];
  const executed: string[] = [];
  const questions: object[] = [];
  const answers: boolean[] = [];
  const listeners = new Map<string, (event: CustomEvent<unknown>) => void>();
  const settings: Record<string, unknown> = { "Comfy.Locale": "zh" };
  const app: ComfyApp = {
    registerExtension: (extension) => void extensions.push(extension),
    extensionManager: {
      registerSidebarTab: (tab) => void tabs.push(tab),
      getSidebarTabs: () => tabs,
      sidebarTab: { activeSidebarTabId: null },
      setting: { get: (id) => settings[id] },
      command: { execute: (id) => (executed.push(id), Promise.resolve()) },
      dialog: { confirm: (question) => (questions.push(question), Promise.resolve(answers.shift() ?? null)) },
      toast: { add: (message) => void toasts.push(message) },
    },
  };
  const api: ComfyApi = {
    clientId: "c1",
    fetchApi: vi.fn((route: string, options?: RequestInit) => Promise.resolve(respond(route, options))),
    addEventListener: (type, listener) => void listeners.set(type, listener),
    removeEventListener: (type) => void listeners.delete(type),
    dispatchEvent: () => true,
    getCustomNodesI18n: () => Promise.resolve({ zh: {} }),
  };
  return { app, api, extensions, tabs, toasts, executed, questions, answers, listeners, shell: comfyShell(app, api) };
}

function contribution(): Contribution {
  return {
    id: "resource-gate",
    icon: "pi pi-gauge",
    ready: vi.fn(() => Promise.resolve()),
    title: () => "Resource Gate",
    tooltip: () => "tip",
    commands: [{ id: "ResourceGate.Free", icon: "pi", label: "Free", run: () => Promise.resolve({ ok: false, text: "no" }) }],
    mount: vi.fn(),
    unmount: vi.fn(),
    badgeWanted: vi.fn(),
    entryWanted: vi.fn(),
    keybinding: { key: "g", alt: true, shift: true },
  };
}

let ui: ReturnType<typeof comfyui>;
let ours: Contribution;

beforeEach(() => {
  ui = comfyui();
  ours = contribution();
});

describe("in ComfyUI", () => {
  it("a question is asked in a dialog of ComfyUI's; one that is closed counts as no", async () => {
    ui.answers.push(true, false);
    const asked = [await ui.shell.confirm("Sure?", "It is lost.", ["a"]), await ui.shell.confirm("", "", []), await ui.shell.confirm("", "", [])];
    expect(asked).toEqual([true, false, false]);
    expect(ui.questions[0]).toEqual({ title: "Sure?", message: "It is lost.", itemList: ["a"] });
  });

  it("the panel is a sidebar tab, once ComfyUI has started", async () => {
    ui.shell.present(ours);
    expect(ui.tabs).toEqual([]);
    await ui.extensions[0]?.setup?.();
    expect(ours.ready).toHaveBeenCalledOnce();
    const [tab] = ui.tabs;
    expect(tab).toMatchObject({ id: "resource-gate", icon: "pi pi-gauge", type: "custom", title: "Resource Gate" });
    const element = document.createElement("div");
    tab?.render(element);
    expect(ours.mount).toHaveBeenCalledWith(element);
    tab?.destroy?.();
    expect(ours.unmount).toHaveBeenCalledOnce();
  });

  it("commands stand in the menu, and tell what came of them", async () => {
    ui.shell.present(ours);
    expect(ui.extensions[0]?.menuCommands).toEqual([{ path: ["Extensions", "Resource Gate"], commands: ["ResourceGate.Free"] }]);
    await ui.extensions[0]?.commands?.[0]?.function();
    expect(ui.toasts).toEqual([{ severity: "warn", summary: "Resource Gate", detail: "no", life: 5000 }]);
  });

  it("the badge is set on the tab itself, and taken away", async () => {
    ui.shell.badge("!"); // Before there is a tab: nothing to set it on, and no error.
    ui.shell.present(ours);
    await ui.extensions[0]?.setup?.();
    ui.shell.badge("!");
    expect(ui.tabs[0]?.iconBadge).toBe("!");
    ui.shell.badge(null);
    expect(ui.tabs[0]?.iconBadge).toBe("");
  });

  it("a setting turns the badge on and off", () => {
    ui.shell.present(ours);
    const [setting] = ui.extensions[0]?.settings ?? [];
    expect([setting?.id, setting?.defaultValue]).toEqual(["ResourceGate.Badge", true]);
    setting?.onChange?.(false);
    expect(ours.badgeWanted).toHaveBeenCalledWith(false);
  });

  it("a key opens and closes the panel, and so does the entry beside Run, which shows the level", async () => {
    ui.shell.present(ours);
    const [extension] = ui.extensions;
    expect(extension?.keybindings).toEqual([{ combo: { key: "g", alt: true, shift: true }, commandId: "ResourceGate.Toggle" }]);
    const entry = extension?.actionBarButtons?.[0];
    entry?.onClick();
    expect(ui.executed).toEqual(["Workspace.ToggleSidebarTab.resource-gate"]);
    ui.shell.entry({ level: "warning", word: "Warning", why: "RAM is at 87%." });
    await extension?.setup?.();
    // ComfyUI draws its buttons some time after the start.
    const button = document.body.appendChild(document.createElement("button"));
    button.className = entry?.class ?? "";
    button.append(document.createElement("i"), document.createElement("span"));
    await new Promise((done) => setTimeout(done));
    expect([button.dataset.rgLevel, button.textContent, button.title]).toEqual(["warning", "Warning", "RAM is at 87%."]);
    ui.shell.entry(null);
    expect(button.style.display).toBe("none");
    button.remove();
  });

  it("the entry is not waited for without end: a frontend may know no buttons beside Run", async () => {
    vi.useFakeTimers();
    const watching = vi.spyOn(MutationObserver.prototype, "disconnect");
    ui.shell.present(ours);
    await ui.extensions[0]?.setup?.();
    vi.advanceTimersByTime(ENTRY_PATIENCE);
    expect(watching).toHaveBeenCalledOnce();
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  it("what a person must know is a toast", async () => {
    ui.shell.present(ours);
    await ui.extensions[0]?.setup?.();
    ui.shell.toast({ severity: "error", text: "Memory is nearly full." });
    expect(ui.toasts).toEqual([{ severity: "error", summary: "Resource Gate", detail: "Memory is nearly full.", life: 10_000 }]);
  });

  it("the tab is the active one when ComfyUI says so", () => {
    ui.shell.present(ours);
    expect(ui.shell.active()).toBe(false);
    ui.app.extensionManager.sidebarTab.activeSidebarTabId = "resource-gate";
    expect(ui.shell.active()).toBe(true);
  });

  it("our events are listened for under their own names", () => {
    const heard = vi.fn();
    const off = ui.shell.on("status", heard);
    ui.listeners.get("resource_gate.status")?.(new CustomEvent("x", { detail: { level: "normal" } }));
    expect(heard).toHaveBeenCalledWith({ level: "normal" });
    off();
    expect(ui.listeners.has("resource_gate.status")).toBe(false);
  });

  it("of many readings the first and the newest are told, before what came after them", () => {
    const told: unknown[] = [];
    const offs = [ui.shell.on("status", (data) => told.push(data)), ui.shell.on("action", (data) => told.push(data))];
    const say = (event: string, detail: unknown): void => void ui.listeners.get(`resource_gate.${event}`)?.(new CustomEvent("x", { detail }));
    for (let n = 0; n < 5; n++) say("status", n);
    say("action", "freed");
    expect(told).toEqual([0, 4, "freed"]);
    for (const off of offs) off();
  });

  it("requests go through ComfyUI's api, with a JSON body", async () => {
    await ui.shell.post("/resource_gate/pause", {});
    expect(ui.api.fetchApi).toHaveBeenCalledWith(
      "/resource_gate/pause",
      expect.objectContaining({ method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }),
    );
  });

  it("the language is the one set in ComfyUI", () => {
    expect(ui.shell.locale()).toBe("zh");
  });

  it("texts that cannot be had are no texts", async () => {
    ui.api.getCustomNodesI18n = () => Promise.reject(new Error("404"));
    expect(await ui.shell.translations()).toEqual({});
  });
});

describe("an answer", () => {
  const get = (respond: () => Response): Promise<unknown> => comfyui(respond).shell.get("/x");
  const json = (body: unknown, status: number): Response => Response.json(body, { status, statusText: "Bad" });

  it("is the JSON of the body", async () => {
    expect(await get(() => json({ a: 1 }, 200))).toEqual({ kind: "ok", data: { a: 1 } });
  });

  it("of 404 means that our part is missing", async () => {
    expect(await get(() => new Response("", { status: 404 }))).toEqual({ kind: "missing" });
  });

  it("of a proxy whose server is away is none", async () => {
    expect(await get(() => new Response("", { status: 502 }))).toEqual({ kind: "unreachable" });
  });

  it("that never comes is none", async () => {
    const thrown = await get(() => {
      throw new TypeError("Failed to fetch");
    });
    expect(thrown).toEqual({ kind: "unreachable" });
  });

  it("of 400 says what is wrong with which field", async () => {
    const error = { message: "not understood", fields: [{ field: "level", problem: "no such level", in_force: "critical" }] };
    expect(await get(() => json({ error }, 400))).toEqual({
      kind: "refused",
      message: "not understood; level: no such level",
      fields: [{ field: "level", problem: "no such level", inForce: "critical" }],
    });
  });

  it("that is no JSON is refused", async () => {
    expect(await get(() => new Response("<html>", { status: 500, statusText: "Bad" }))).toEqual({ kind: "refused", message: "500 Bad", fields: [] });
    expect(await get(() => new Response("<html>", { status: 200, statusText: "OK" }))).toEqual({ kind: "refused", message: "200 OK", fields: [] });
  });
});
