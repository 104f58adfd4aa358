/**
 * A fingerprint of everything the bundle is built from. It stands in the bundle's first line, so that a stale bundle is
 * found without Node: `tests/browser/test_build.py` computes the same.
 */
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";

const FILES = ["fingerprint.ts", "package-lock.json", "package.json", "tsconfig.json", "vite.config.ts", "../locales/en/main.json"];

/** SHA-256 over the names and contents of the sources in `root` (the `ui` folder), line ends as LF; 16 hex digits. */
export function fingerprint(root: string): string {
  const sources = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"));
  const hash = createHash("sha256");
  for (const name of [...FILES, ...sources].sort()) {
    hash.update(`${name}\n${readFileSync(join(root, name), "utf8").replaceAll("\r\n", "\n")}\n`);
  }
  return hash.digest("hex").slice(0, 16);
}
