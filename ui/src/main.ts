/** What the browser loads, inside ComfyUI and on a page of its own; the page says so by `globalThis.resourceGatePage`. */
import { App } from "./app";
import { comfyShell } from "./comfy";
import { pageShell, type Page } from "./page";
import type { Shell } from "./shell";

declare global {
  var resourceGatePage: Page | undefined;
}

async function shellHere(): Promise<Shell> {
  if (globalThis.resourceGatePage) return pageShell(globalThis.resourceGatePage);
  // Only here: outside ComfyUI these two modules do not exist.
  const [{ app }, { api }] = await Promise.all([import("comfyui/app"), import("comfyui/api")]);
  return comfyShell(app, api);
}

const shell = await shellHere();
new App(shell).start();
