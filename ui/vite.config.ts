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

/** What of uPlot we do not use, and what stands there instead, so that the build leaves its code out: an eighth of it. */
const UNUSED: [string, string][] = [
  ["(paths.stepped = stepped);", ""],
  ["(paths.bars    = bars);", ""],
  ["(paths.spline  = monotoneCubic);", ""],
  ["uPlot.rangeLog = rangeLog;", ""],
  ["uPlot.rangeAsinh = rangeAsinh;", ""],
  ["uPlot.fmtDate = fmtDate;", ""],
  ["uPlot.tzDate  = tzDate;", ""],
  ["uPlot.sync = _sync;", ""],
  ["const showLegend = legend.show;", "const showLegend = false;"],
];

const leanPlot: Plugin = {
  name: "lean-uplot",
  transform(code, id) {
    if (!id.includes("uPlot.esm.js")) return null;
    return UNUSED.reduce((source, [line, instead]) => {
      if (!source.includes(line)) throw new Error(`this uPlot has no "${line}": look at vite.config.ts`);
      return source.replace(line, instead);
    }, code);
  },
};

const uplot = readFileSync(`${root}/LICENSE.uPlot`, "utf8").trim();

export default defineConfig({
  root,
  plugins: [coreTexts, leanPlot],
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
        postBanner: `/* Resource Gate ${version}, MIT. Built from ui/ (sources ${fingerprint(root)}): edit there, then "npm run build". */\n/* Contains uPlot 1.6.32, https://github.com/leeoniya/uPlot:\n${uplot}\n*/`,
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
