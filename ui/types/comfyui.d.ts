/** The part of ComfyUI's frontend that we use, as checked on 1.49.6 and 1.58.1. Both modules are there at run time only. */

interface ComfySidebarTab {
  id: string;
  type: "custom";
  icon: string;
  title: string;
  tooltip?: string;
  label?: string;
  iconBadge?: string | (() => string | null);
  /** Called with a detached element, and again on every redraw of the tab's slot. */
  render(element: HTMLElement): void;
  /** Called when the panel closes, not when another tab is opened. */
  destroy?(): void;
}

interface ComfyToast {
  severity: "success" | "info" | "warn" | "error";
  summary: string;
  detail?: string;
  life?: number;
}

interface ComfyExtensionManager {
  registerSidebarTab(tab: ComfySidebarTab): void;
  getSidebarTabs(): ComfySidebarTab[];
  sidebarTab: { activeSidebarTabId: string | null };
  setting: { get(id: string): unknown };
  command: { execute(id: string): Promise<void> };
  /** Resolves to null where the dialog was closed. */
  dialog: { confirm(question: { title: string; message: string; itemList?: string[] }): Promise<boolean | null> };
  toast: { add(message: ComfyToast): void };
}

interface ComfyCommand {
  id: string;
  label: string;
  icon?: string;
  tooltip?: string;
  function: () => void | Promise<void>;
}

interface ComfySetting {
  id: string;
  name: string;
  category?: string[];
  type: "boolean";
  defaultValue: boolean;
  tooltip?: string;
  onChange?: (value: boolean) => void;
}

interface ComfyExtension {
  name: string;
  commands?: ComfyCommand[];
  menuCommands?: { path: string[]; commands: string[] }[];
  keybindings?: { combo: { key: string; ctrl?: boolean; alt?: boolean; shift?: boolean }; commandId: string }[];
  /** Drawn beside Run, once; a button without a label has no element for one. */
  actionBarButtons?: { icon: string; label?: string; tooltip?: string; class?: string; onClick: () => void }[];
  settings?: ComfySetting[];
  setup?: () => void | Promise<void>;
}

interface ComfyNode {
  type?: string;
  subgraph?: ComfyGraph;
}

interface ComfyGraph {
  getNodeById(id: string): ComfyNode | null | undefined;
}

interface ComfyApp {
  /** The workflow, where `graph` may be a subgraph of it; older frontends have only that. */
  rootGraph?: ComfyGraph;
  graph?: ComfyGraph;
  extensionManager: ComfyExtensionManager;
  registerExtension(extension: ComfyExtension): void;
}

interface ComfyApi {
  /** Known once the WebSocket has said hello. */
  clientId?: string;
  /** Prefixes the address of the server and `/api`. */
  fetchApi(route: string, options?: RequestInit): Promise<Response>;
  addEventListener(type: string, listener: (event: CustomEvent<unknown>) => void): void;
  removeEventListener(type: string, listener: (event: CustomEvent<unknown>) => void): void;
  dispatchEvent(event: Event): boolean;
  getCustomNodesI18n(): Promise<Record<string, unknown>>;
}

declare module "comfyui/app" {
  export const app: ComfyApp;
}

declare module "comfyui/api" {
  export const api: ComfyApi;
}
