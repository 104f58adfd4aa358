/** Builds into a folder that is thrown away, and fails unless that gives the committed web/resource_gate.js, byte for byte. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = mkdtempSync(join(tmpdir(), "resource-gate-ui-"));
try {
  const built = spawnSync(process.execPath, [join(here, "node_modules/vite/bin/vite.js"), "build", "--logLevel", "warn"], {
    cwd: here,
    env: { ...process.env, RESOURCE_GATE_UI_OUT: out },
    stdio: "inherit",
  });
  if (built.status !== 0) process.exit(built.status ?? 1);
  const fresh = readFileSync(join(out, "resource_gate.js"));
  const committed = readFileSync(join(here, "../web/resource_gate.js"));
  if (!fresh.equals(committed)) {
    console.error('web/resource_gate.js is not the build of ui/: run "npm run build" in ui/ and commit the file.');
    process.exitCode = 1;
  } else {
    console.log(`web/resource_gate.js is the build of ui/ (${committed.length} bytes).`);
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}
