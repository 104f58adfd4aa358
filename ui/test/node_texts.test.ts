import { beforeEach, describe, expect, it, vi } from "vitest";
import { keepNodeTexts } from "../src/node_texts";

/** A frontend that takes the texts away at a job's end, as 1.58.1 does. */
function frontend() {
  const status: ComfyNode = { type: "ResourceGateStatus" };
  const nodes: Record<string, ComfyNode> = {
    "1": { type: "ResourceGate" },
    "2": { type: "SomebodyElses" },
    "4": { type: "subgraph", subgraph: { getNodeById: (id) => (id === "3" ? status : null) } },
  };
  const shown: Record<string, string> = {};
  const api = new EventTarget() as unknown as ComfyApi;
  api.addEventListener("progress_text", ({ detail }) => {
    const { nodeId, text } = detail as { nodeId: string; text: string };
    shown[nodeId] = text;
  });
  const tell = (type: string, detail: object = {}): void => void api.dispatchEvent(new CustomEvent(type, { detail }));
  const say = (nodeId: string, text: string): void => tell("progress_text", { nodeId, text });
  const end = async (type = "execution_success"): Promise<void> => {
    tell(type);
    await vi.runAllTimersAsync();
  };
  keepNodeTexts({ rootGraph: { getNodeById: (id) => nodes[id] ?? null } } as ComfyApp, api);
  // Registered after ours: at the end ours must come last all the same.
  for (const type of ["execution_success", "execution_error", "execution_interrupted"]) {
    api.addEventListener(type, () => Object.keys(shown).forEach((id) => delete shown[id]));
  }
  return { nodes, shown, say, end, tell };
}

describe("the text on a node", () => {
  beforeEach(() => void vi.useFakeTimers());

  it("of ours stays when the job ends, and nobody else's does", async () => {
    const { shown, say, end } = frontend();
    say("1", "waiting 0 of 4 s");
    say("1", "went on after 4 s");
    say("2", "sent");
    say("4:3", "RAM 41 %");
    await end();
    expect(shown).toEqual({ "1": "went on after 4 s", "4:3": "RAM 41 %" });
    await end("execution_error");
    expect(shown, "a run in which it came from the cache").toEqual({ "1": "went on after 4 s", "4:3": "RAM 41 %" });
  });

  it("goes when somebody interrupts", async () => {
    const { shown, say, end } = frontend();
    say("1", "waiting 0 of 4 s");
    await end("execution_interrupted");
    expect(shown).toEqual({});
  });

  it("is not written on another workflow's node of that id", async () => {
    const { nodes, shown, say, end } = frontend();
    say("1", "freed 2 MB");
    nodes["1"] = { type: "ResourceGate" };
    await end();
    expect(shown).toEqual({});
  });

  it("may be of a kind we do not know", async () => {
    const { shown, tell, end } = frontend();
    for (const detail of [{ nodeId: null, text: "x" }, { nodeId: "1" }, { nodeId: "9", text: "x" }, { nodeId: "1:2:3", text: "x" }]) {
      tell("progress_text", detail);
    }
    await end();
    expect(shown).toEqual({});
  });
});
