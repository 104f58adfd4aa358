import type { Refusal } from "./form";
import { list, object, text } from "./read";
import type { Answer } from "./shell";

/** Milliseconds after which a server that says nothing counts as away. Freeing may wait 10 s for the worker, and then works. */
const PATIENCE = { get: 10_000, post: 60_000 };

export const getOptions = (): RequestInit => ({ cache: "no-store", signal: AbortSignal.timeout(PATIENCE.get) });

/** A JSON content type is what keeps pages of other origins out. */
export const postOptions = (body: object): RequestInit => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
  signal: AbortSignal.timeout(PATIENCE.post),
});

/** Ask, and turn whatever happens into an `Answer`. */
export async function answer(ask: () => Promise<Response>): Promise<Answer> {
  let response: Response;
  try {
    response = await ask();
  } catch {
    return { kind: "unreachable" };
  }
  if (response.status === 404 || response.status === 405) return { kind: "missing" };
  // What a reverse proxy says while the server behind it restarts.
  if ([502, 503, 504].includes(response.status)) return { kind: "unreachable" };
  const body: unknown = await response.json().catch(() => undefined);
  // 409: not all could be done now. The body tells what was, and what the rest waits for.
  if ((response.ok || response.status === 409) && body !== undefined) return { kind: "ok", data: body };
  const fields = refusalsIn(body);
  const message = messageIn(body);
  if (message === undefined) return { kind: "refused", message: `${response.status} ${response.statusText}`.trim(), fields };
  return { kind: "refused", message: [message, ...fields.map(({ field, problem }) => `${field}: ${problem}`)].join("; "), fields };
}

/** The server's own words in `{"error": {"message", "fields": […]}}`. */
function messageIn(body: unknown): string | undefined {
  const { message } = object(object(body).error);
  return typeof message === "string" ? message : undefined;
}

const refusalsIn = (body: unknown): Refusal[] =>
  list(object(object(body).error).fields).map((one) => {
    const { field, problem, in_force } = object(one);
    return { field: text(field), problem: text(problem), inForce: in_force };
  });
