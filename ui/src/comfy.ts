/** The only code that knows ComfyUI's frontend. */
import { answer, getOptions, postOptions } from "./answer";
import { setAttr, setText } from "./dom";
import { keepNodeTexts } from "./node_texts";
import { Intake } from "./pace";
import type { Contribution, Entry, Shell, ShellEvents } from "./shell";

/** Our events' names beside ComfyUI's own. */
const EVENTS: Record<keyof ShellEvents, string> = {
  status: "resource_gate.status",
  action: "resource_gate.action",
  batch: "resource_gate.batch",
  reconnecting: "reconnecting",
  reconnected: "reconnected",
  queue: "status",
};

/** The class of our entry beside Run; ComfyUI draws its button once, what is in it is ours. */
const ENTRY = "resource-gate-entry";
const ENTRIES = document.getElementsByClassName(ENTRY);

/** A shell on ComfyUI's `app` and `api`. */
export function comfyShell(app: ComfyApp, api: ComfyApi): Shell {
  let tab = "";
  let title = "";
  const readings = new Set<Intake<unknown>>();
  const toggle = (): void => void app.extensionManager.command.execute(`Workspace.ToggleSidebarTab.${tab}`);
  return {
    standalone: false,
    toggle,
    toast: (news) => toast(app, news.severity, title, news.text, 10_000),
    confirm: async (title, message, itemList) => (await app.extensionManager.dialog.confirm({ title, message, itemList })) === true,
    entry: showEntry,
    clientId: () => api.clientId ?? null,
    get: (route) => answer(() => api.fetchApi(route, getOptions())),
    post: (route, body) => answer(() => api.fetchApi(route, postOptions(body))),
    on(event, listener) {
      const told = (data: unknown): void => listener(data as ShellEvents[typeof event]);
      const newest = event === "status" ? new Intake<unknown>(told) : null;
      if (newest) readings.add(newest);
      const heard = ({ detail }: CustomEvent<unknown>): void => {
        if (newest) return newest.offer(detail);
        for (const one of readings) one.flush();
        told(detail);
      };
      // While a type has no listener, ComfyUI logs each of its messages as unknown: so this is called as the module loads.
      api.addEventListener(EVENTS[event], heard);
      return () => {
        if (newest) readings.delete(newest);
        api.removeEventListener(EVENTS[event], heard);
      };
    },
    locale: () => localeOf(app),
    translations: async () => {
      try {
        return (await api.getCustomNodesI18n()) ?? {};
      } catch {
        return {}; // What is built in must do, until the server answers.
      }
    },
    active: () => app.extensionManager.sidebarTab.activeSidebarTabId === tab,
    present(contribution) {
      tab = contribution.id;
      keepNodeTexts(app, api);
      register(app, contribution, toggle, () => (title = contribution.title()));
    },
    badge(mark) {
      // A function would not be asked again: ComfyUI's redraw follows the property.
      const shown = app.extensionManager.getSidebarTabs?.().find((one) => one.id === tab);
      if (shown) shown.iconBadge = mark ?? "";
    },
  };
}

/** ComfyUI's settings are there only once it has started. */
function localeOf(app: ComfyApp): string {
  const chosen = app.extensionManager?.setting?.get("Comfy.Locale");
  return typeof chosen === "string" && chosen ? chosen : navigator.language;
}

function register(app: ComfyApp, contribution: Contribution, toggle: () => void, ready: () => void): void {
  const { commands, keybinding } = contribution;
  app.registerExtension({
    name: "ResourceGate.Panel",
    commands: commands.map((command) => ({
      id: command.id,
      label: command.label,
      icon: command.icon,
      function: async () => {
        const outcome = await command.run();
        if (outcome) toast(app, outcome.ok ? "success" : "warn", contribution.title(), outcome.text, 5000);
      },
    })),
    menuCommands: [{ path: ["Extensions", "Resource Gate"], commands: commands.map((command) => command.id) }],
    keybindings: [{ combo: keybinding, commandId: "ResourceGate.Toggle" }],
    actionBarButtons: [{ icon: contribution.icon, label: "\u200b", tooltip: "Resource Gate", class: ENTRY, onClick: toggle }],
    settings: [
      setting("Badge", "Show a badge on the icon", "A mark on the sidebar icon while memory is high, or while the gate waits or is paused.", (wanted) =>
        contribution.badgeWanted(wanted),
      ),
      setting("Entry", "Show the level beside Run", "A button beside Run that shows how full memory is, and opens the panel.", (wanted) =>
        contribution.entryWanted(wanted),
      ),
    ],
    // ComfyUI's settings, and with them the language, are there from here on.
    async setup() {
      await contribution.ready();
      ready();
      awaitEntry();
      app.extensionManager.registerSidebarTab({
        id: contribution.id,
        icon: contribution.icon,
        title: contribution.title(),
        tooltip: contribution.tooltip(),
        type: "custom",
        iconBadge: "",
        render: (element) => contribution.mount(element),
        destroy: () => contribution.unmount(),
      });
    },
  });
}

const setting = (name: string, label: string, tooltip: string, onChange: (wanted: boolean) => void): ComfySetting => ({
  id: `ResourceGate.${name}`,
  name: label,
  category: ["Resource Gate", "Panel", name],
  type: "boolean",
  defaultValue: true,
  tooltip,
  onChange,
});

function toast(app: ComfyApp, severity: ComfyToast["severity"], summary: string, detail: string, life: number): void {
  app.extensionManager.toast.add({ severity, summary, detail, life });
}

let shownEntry: Entry | null = null;

/** ComfyUI may draw the button anew: the level is written into whichever is there. */
function showEntry(entry: Entry | null): void {
  shownEntry = entry;
  for (const button of ENTRIES) write(button as HTMLElement, entry);
}

/** Milliseconds for which the button is waited for; one that comes later has its level with the next reading. */
export const ENTRY_PATIENCE = 60_000;

/** The button comes some time after the start. Only until then: all that ComfyUI draws would be looked at. */
function awaitEntry(): void {
  const observer = new MutationObserver(() => {
    if (!ENTRIES.length) return;
    done();
    showEntry(shownEntry);
  });
  // A frontend that knows no buttons there never brings one.
  const patience = setTimeout(() => done(), ENTRY_PATIENCE);
  const done = (): void => {
    clearTimeout(patience);
    observer.disconnect();
  };
  observer.observe(document.body, { childList: true, subtree: true });
}

function write(button: HTMLElement, entry: Entry | null): void {
  button.style.display = entry ? "" : "none";
  if (!entry) return;
  setAttr(button, "data-rg-level", entry.level);
  setAttr(button, "aria-label", `Resource Gate: ${entry.word}`);
  setAttr(button, "title", entry.why);
  const word = button.querySelector("span");
  if (word) setText(word, entry.word);
}
