import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import type { Plugin } from "vite";
import { fingerprint } from "./fingerprint.ts";

const root = fileURLToPath(new URL(".", import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}/package.json`, "utf8")) as { version: string };

/** ComfyUI serves the bundle at /extensions/<folder>/, two folders below its own scripts. */
const COMFYUI = {
  "comfyui/app": "../../scripts/app.js",
  "comfyui/api": "../../scripts/api.js",
};

/** The texts that the bundle holds: enough to say what is wrong while the others cannot be loaded. */
const CORE = ["title", "tooltip", "level", "link", "notice", "badge"];

const coreTexts: Plugin = {
  name: "core-texts",
  resolveId: (id) => (id === "virtual:core-texts" ? id : null),
  load(id) {
    if (id !== "virtual:core-texts") return null;
    const all = (JSON.parse(readFileSync(`${root}/../locales/en/main.json`, "utf8")) as { resourceGate: Record<string, unknown> }).resourceGate;
    return `export default ${JSON.stringify(Object.fromEntries(CORE.map((key) => [key, all[key]])))};`;
  },
};

export default defineConfig({
  root,
  plugins: [coreTexts],
  define: { __VERSION__: JSON.stringify(version) },
  build: {
    target: "es2022",
    // Browsers that know light-dark() and nesting: without this they would be rewritten.
    cssTarget: ["chrome123", "firefox121", "safari17.5"],
    outDir: process.env.RESOURCE_GATE_UI_OUT ?? "../web",
    emptyOutDir: false,
    minify: true,
    reportCompressedSize: false,
    lib: { entry: "src/main.ts", formats: ["es"], fileName: () => "resource_gate.js" },
    rolldownOptions: {
      external: Object.keys(COMFYUI),
      output: {
        paths: COMFYUI,
        minify: { mangle: true, compress: true, codegen: { removeWhitespace: true } },
        postBanner: `/* Resource Gate ${version}, MIT. Built from ui/ (sources ${fingerprint(root)}): edit there, then "npm run build". */`,
      },
    },
  },
  test: {
    environment: "jsdom",
    setupFiles: ["test/setup.ts"],
    include: ["test/**/*.test.ts"],
    restoreMocks: true,
  },
});
