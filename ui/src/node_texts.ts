/** The texts of our nodes outlive the job: newer frontends (seen with 1.58.1) take all nodes' texts away at its end. */

const TEXT = "progress_text";
/** Not where somebody interrupts: a node would go on saying that it waits. */
const ENDS = ["execution_success", "execution_error"] as const;
/** What the types of our nodes begin with. */
const OURS = "ResourceGate";

/** Show again, at a job's end, what each node of ours said last; the frontend's own widget shows it. */
export function keepNodeTexts(app: ComfyApp, api: ComfyApi): void {
  const last = new Map<string, { node: ComfyNode; text: string }>();
  api.addEventListener(TEXT, ({ detail }) => {
    const { nodeId, text } = (detail ?? {}) as { nodeId?: unknown; text?: unknown };
    if ((typeof nodeId !== "string" && typeof nodeId !== "number") || typeof text !== "string") return;
    const node = nodeOf(app, String(nodeId));
    if (node?.type?.startsWith(OURS)) last.set(String(nodeId), { node, text });
  });
  const again = (): void => {
    for (const [nodeId, { node, text }] of last) {
      // Another workflow has nodes of the same ids.
      if (nodeOf(app, nodeId) !== node) last.delete(nodeId);
      else api.dispatchEvent(new CustomEvent(TEXT, { detail: { nodeId, text } }));
    }
  };
  // After all who hear of the end have done what they do then.
  for (const end of ENDS) api.addEventListener(end, () => void setTimeout(again));
}

/** The node of an id as the server tells it: `12`, or `12:3` within a subgraph. */
function nodeOf(app: ComfyApp, id: string): ComfyNode | null {
  let graph = app.rootGraph ?? app.graph;
  let node: ComfyNode | null = null;
  for (const part of id.split(":")) {
    node = graph?.getNodeById(part) ?? null;
    graph = node?.subgraph;
  }
  return node;
}
