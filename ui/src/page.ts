/** The same panel on a page of its own: plain fetch, and a WebSocket as ComfyUI's. */
import { answer, getOptions, postOptions } from "./answer";
import { h } from "./dom";
import { Intake } from "./pace";
import type { Shell, ShellEvents } from "./shell";

/** What `web/page.html` says about itself. */
export interface Page {
  /** Where the server's routes begin: empty, or the prefix of a reverse proxy. */
  base: string;
  /** Id of the element the panel is shown in. */
  root: string;
}

/** Milliseconds before the WebSocket is opened again: the first wait, and the longest. */
const REOPEN = [500, 10_000] as const;

/** How a pushed status begins. */
const READING = /^\{"type":\s*"resource_gate\.status"/;

type Listeners = { [K in keyof ShellEvents]: Set<(data: ShellEvents[K]) => void> };

/**
 * Whether a page of another site shows this one in a frame. It could lay it, unseen, under something to click, and what our
 * buttons send comes from our own origin. The route of the page says so in a header; the file of the extension cannot.
 */
export function inForeignFrame(view: Pick<Window, "top">): boolean {
  try {
    return !view.top?.location.href;
  } catch {
    return true; // Only those of one's own origin tell their address.
  }
}

/** A shell without ComfyUI. */
export function pageShell(page: Page, view: Pick<Window, "top"> = window): Shell {
  const client = newId();
  const listeners: Listeners = { status: new Set(), action: new Set(), batch: new Set(), reconnecting: new Set(), reconnected: new Set(), queue: new Set() };
  const tell = <K extends keyof ShellEvents>(event: K, data: ShellEvents[K]): void => {
    for (const listener of listeners[event]) listener(data);
  };
  listen(`${page.base}/ws?clientId=${client}`, tell);
  let known: string[] = [];
  return {
    clientId: () => client,
    get: (route) => answer(() => fetch(page.base + route, getOptions())),
    post: (route, body) => answer(() => fetch(page.base + route, postOptions(body))),
    on(event, listener) {
      listeners[event].add(listener);
      return () => listeners[event].delete(listener);
    },
    locale: () => chooseLocale(new URLSearchParams(location.search).get("lang"), navigator.languages, known),
    async translations() {
      const got = await answer(() => fetch(`${page.base}/i18n`));
      const texts = got.kind === "ok" && got.data && typeof got.data === "object" ? (got.data as Record<string, unknown>) : {};
      known = Object.keys(texts);
      return texts;
    },
    active: () => true,
    present(contribution) {
      void contribution.ready().then(() => {
        const root = document.getElementById(page.root);
        if (!root) throw new Error(`no element #${page.root} on this page`);
        if (!inForeignFrame(view)) contribution.mount(root);
        else root.append(h("a", { text: contribution.title(), attrs: { href: location.href, target: "_blank", rel: "noreferrer" } }));
      });
    },
    standalone: true,
    // The browser's own: it needs no keyboard, focus or screen reader handling of ours.
    confirm: (title, text, items) => Promise.resolve(confirm([title, text, items.join("\n")].join("\n\n"))),
    toggle: () => undefined,
    entry: () => undefined, // The page's head shows the level.
    toast: ({ severity, text }) => showToast(severity, text),
    badge(mark) {
      document.title = document.title.replace(/^\S+ \| /, "");
      if (mark) document.title = `${mark} | ${document.title}`;
    },
  };
}

/** Milliseconds for which a toast stays. */
const TOAST = 10_000;

/** Say something at the page's edge, for a while; a click sends it away. */
function showToast(severity: string, text: string): void {
  const toast = h("p", { class: "rg-toast", text, attrs: { role: "alert", "data-severity": severity }, on: { click: () => toast.remove() } });
  document.querySelector(".resource-gate")?.append(toast);
  setTimeout(() => toast.remove(), TOAST);
}

/** The language asked for, else the first of the browser's that there are texts for, else English. */
export function chooseLocale(asked: string | null, wanted: readonly string[], known: readonly string[]): string {
  if (asked) return asked;
  const has = (name: string): boolean => name === "en" || known.includes(name);
  return wanted.find((name) => has(name) || has(name.split("-")[0] ?? name)) ?? "en";
}

/** Keep a WebSocket open, and tell what it brings. */
function listen(address: string, tell: <K extends keyof ShellEvents>(event: K, data: ShellEvents[K]) => void): void {
  let wait: number = REOPEN[0];
  let before = false;
  // Read only then: to read a status takes longer than to get it.
  const readings = new Intake<string>((data) => tell("status", (JSON.parse(data) as { data?: unknown }).data));
  const open = (): void => {
    const socket = new WebSocket(new URL(address, location.href.replace(/^http/, "ws")));
    socket.addEventListener("open", () => {
      wait = REOPEN[0];
      if (before) tell("reconnected", null);
      before = true;
    });
    socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (typeof data !== "string") return; // A preview image.
      if (READING.test(data)) {
        // Most of what comes, and of no use to who does not look.
        if (document.visibilityState === "visible") readings.offer(data);
        return;
      }
      readings.flush();
      const message = JSON.parse(data) as { type?: string; data?: unknown };
      if (message.type === "resource_gate.action") tell("action", message.data);
      else if (message.type === "resource_gate.batch") tell("batch", message.data);
      else if (message.type === "status") tell("queue", null);
    });
    socket.addEventListener("close", () => {
      readings.flush();
      if (before) tell("reconnecting", null);
      setTimeout(open, wait);
      wait = Math.min(REOPEN[1], wait * 2);
    });
  };
  open();
}

/** A random id; `crypto.randomUUID` is missing where the page came by plain http from another machine. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
