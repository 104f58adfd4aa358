import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Glance, Lease, RENEW, RETRY, SETTLE } from "../src/lease";
import type { Answer } from "../src/shell";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const OK: Answer = { kind: "ok", data: {} };

/** A lease on a server that answers as `next` says, and what it was asked. */
function lease(client: () => string | null = () => "a b") {
  const asked: string[] = [];
  const heard: string[] = [];
  const server = { next: OK as Answer };
  const one = new Lease(
    client,
    (route) => {
      asked.push(route);
      return Promise.resolve(server.next);
    },
    (answer) => heard.push(answer.kind),
  );
  return { one, asked, heard, server };
}

describe("a lease", () => {
  it("asks at once, under the client's id, and again every 15 s", async () => {
    const { one, asked } = lease();
    one.hold(true);
    expect(asked).toEqual(["/resource_gate/status?watch=a%20b"]);
    await vi.advanceTimersByTimeAsync(RENEW - 1);
    expect(asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(4 * RENEW);
    expect(asked).toHaveLength(6);
  });

  it("asks nothing before it is held, nor after", async () => {
    const { one, asked } = lease();
    await vi.advanceTimersByTimeAsync(10 * RENEW);
    expect(asked).toEqual([]);
    one.hold(true);
    await vi.advanceTimersByTimeAsync(RENEW / 2);
    one.hold(false);
    await vi.advanceTimersByTimeAsync(10 * RENEW);
    expect(asked).toHaveLength(1);
  });

  it("drops the answer to a question from before it was let go", async () => {
    const { one, heard } = lease();
    one.hold(true);
    one.hold(false);
    await vi.advanceTimersByTimeAsync(RENEW);
    expect(heard).toEqual([]);
  });

  it("held twice asks once", async () => {
    const { one, asked } = lease();
    one.hold(true);
    one.hold(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toHaveLength(1);
  });

  it("tries sooner while the server is away, but less and less often, and finds back to its rhythm", async () => {
    const { one, asked, heard, server } = lease();
    server.next = { kind: "unreachable" };
    one.hold(true);
    await vi.advanceTimersByTimeAsync(RETRY * (1 + 2 + 4));
    expect(asked).toHaveLength(4);
    await vi.advanceTimersByTimeAsync(20 * RENEW);
    const tries = asked.length;
    await vi.advanceTimersByTimeAsync(RENEW);
    expect(asked.length - tries).toBe(1);
    server.next = OK;
    await vi.advanceTimersByTimeAsync(RENEW);
    expect(heard.at(-1)).toBe("ok");
    const later = asked.length;
    await vi.advanceTimersByTimeAsync(RENEW);
    expect(asked.length - later).toBe(1);
  });

  it("asks at once when the connection is back, and not twice", async () => {
    const { one, asked } = lease();
    one.hold(true);
    await vi.advanceTimersByTimeAsync(RENEW / 2);
    one.now();
    expect(asked).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(RENEW - 1);
    expect(asked).toHaveLength(2);
  });

  it("asks without an id while there is none, and soon again", async () => {
    let id: string | null = null;
    const { one, asked } = lease(() => id);
    one.hold(true);
    await vi.advanceTimersByTimeAsync(0);
    id = "c";
    await vi.advanceTimersByTimeAsync(RETRY);
    expect(asked).toEqual(["/resource_gate/status", "/resource_gate/status?watch=c"]);
  });
});

describe("a glance, for the badge of a panel that is not seen", () => {
  function glance(follow = false) {
    const server = { follow, looks: 0 };
    const one = new Glance(() => {
      server.looks++;
      return Promise.resolve(server.follow);
    });
    return { one, server };
  }

  it("is taken once, then only when the queue changes", async () => {
    const { one, server } = glance();
    one.allow(true);
    await vi.advanceTimersByTimeAsync(10 * RENEW);
    expect(server.looks).toBe(1);
    one.queueChanged();
    await vi.advanceTimersByTimeAsync(10 * RENEW);
    expect(server.looks).toBe(2);
  });

  it("is taken once for a bunch of changes", async () => {
    const { one, server } = glance();
    one.allow(true);
    await vi.advanceTimersByTimeAsync(SETTLE);
    for (let i = 0; i < 40; i++) {
      one.queueChanged();
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(server.looks).toBe(1);
    await vi.advanceTimersByTimeAsync(5 * SETTLE);
    expect(server.looks).toBe(2);
  });

  it("is repeated every 15 s while there is something to follow", async () => {
    const { one, server } = glance(true);
    one.allow(true);
    await vi.advanceTimersByTimeAsync(SETTLE + 2 * RENEW);
    expect(server.looks).toBe(3);
    server.follow = false;
    await vi.advanceTimersByTimeAsync(10 * RENEW);
    expect(server.looks).toBe(4);
  });

  it("is not taken while not allowed", async () => {
    const { one, server } = glance(true);
    one.queueChanged();
    await vi.advanceTimersByTimeAsync(RENEW);
    expect(server.looks).toBe(0);
    one.allow(true);
    await vi.advanceTimersByTimeAsync(SETTLE);
    one.allow(false);
    one.queueChanged();
    await vi.advanceTimersByTimeAsync(10 * RENEW);
    expect(server.looks).toBe(1);
  });
});
