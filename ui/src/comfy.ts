/** The only code that knows ComfyUI's frontend. */
import { answer, getOptions, postOptions } from "./answer";
import type { Contribution, Outcome, Shell, ShellEvents } from "./shell";

/** Our events' names beside ComfyUI's own. */
const EVENTS: Record<keyof ShellEvents, string> = {
  status: "resource_gate.status",
  action: "resource_gate.action",
  reconnecting: "reconnecting",
  reconnected: "reconnected",
  queue: "status",
};

const BADGE_SETTING = "ResourceGate.Badge";

/** A shell on ComfyUI's `app` and `api`. */
export function comfyShell(app: ComfyApp, api: ComfyApi): Shell {
  let tab = "";
  return {
    clientId: () => api.clientId ?? null,
    get: (route) => answer(() => api.fetchApi(route, getOptions())),
    post: (route, body) => answer(() => api.fetchApi(route, postOptions(body))),
    on(event, listener) {
      const heard = (happened: CustomEvent<unknown>): void => listener(happened.detail as ShellEvents[typeof event]);
      // While a type has no listener, ComfyUI logs each of its messages as unknown: so this is called as the module loads.
      api.addEventListener(EVENTS[event], heard);
      return () => api.removeEventListener(EVENTS[event], heard);
    },
    locale: () => localeOf(app),
    translations: async () => {
      try {
        return (await api.getCustomNodesI18n()) ?? {};
      } catch {
        return {}; // English is built in.
      }
    },
    active: () => app.extensionManager.sidebarTab.activeSidebarTabId === tab,
    present(contribution) {
      tab = contribution.id;
      register(app, contribution);
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

function register(app: ComfyApp, contribution: Contribution): void {
  app.registerExtension({
    name: "ResourceGate.Panel",
    commands: contribution.commands.map((command) => ({
      id: command.id,
      label: command.label,
      icon: command.icon,
      function: async () => toast(app, contribution.title(), await command.run()),
    })),
    menuCommands: [{ path: ["Extensions", "Resource Gate"], commands: contribution.commands.map((command) => command.id) }],
    settings: [
      {
        id: BADGE_SETTING,
        name: "Show a badge on the icon",
        category: ["Resource Gate", "Panel", "Badge"],
        type: "boolean",
        defaultValue: true,
        tooltip: "A mark on the sidebar icon while memory is high, or while the gate waits or is paused.",
        onChange: (wanted) => contribution.badgeWanted(wanted),
      },
    ],
    // ComfyUI's settings, and with them the language, are there from here on.
    async setup() {
      await contribution.ready();
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

function toast(app: ComfyApp, summary: string, outcome: Outcome): void {
  app.extensionManager.toast.add({ severity: outcome.ok ? "success" : "warn", summary, detail: outcome.text, life: 5000 });
}
