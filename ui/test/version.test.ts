import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

it("the panel and the server part have one version", () => {
  const toml = readFileSync(join(import.meta.dirname, "../../pyproject.toml"), "utf8");
  expect(/^version = "([^"]+)"/m.exec(toml)?.[1]).toBe(__VERSION__);
});
