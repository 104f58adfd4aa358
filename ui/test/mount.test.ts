import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LOOK, Mount } from "../src/mount";

beforeEach(() => {
  vi.useFakeTimers();
  document.body.replaceChildren();
});
afterEach(() => void vi.useRealTimers());

/** A mount, with the tab's element that ComfyUI would give it. */
function mounted() {
  const root = document.createElement("div");
  const host = document.createElement("div");
  const tab = { active: true };
  const seen: boolean[] = [];
  const mount = new Mount(root, () => tab.active, (now) => seen.push(now));
  return { root, host, tab, seen, mount };
}

function setVisibility(state: DocumentVisibilityState): void {
  vi.spyOn(document, "visibilityState", "get").mockReturnValue(state);
  document.dispatchEvent(new Event("visibilitychange"));
}

describe("a panel in a sidebar tab", () => {
  it("is drawn into an element that is not in the page yet, and seen once it is", () => {
    const { mount, root, host, seen } = mounted();
    mount.render(host);
    expect(root.parentElement).toBe(host);
    document.body.append(host);
    vi.advanceTimersByTime(LOOK);
    expect(seen).toEqual([true]);
  });

  it("looks after nothing while the page is hidden, and again once it is seen", () => {
    const { mount, host, tab, seen } = mounted();
    document.body.append(host);
    mount.render(host);
    vi.advanceTimersByTime(LOOK);
    setVisibility("hidden");
    expect(vi.getTimerCount()).toBe(0);
    setVisibility("visible");
    tab.active = false;
    vi.advanceTimersByTime(LOOK);
    expect(host.childNodes, "it looked, and another tab is there").toHaveLength(0);
    expect(seen).toEqual([true, false, true, false]);
  });

  it("drawn again into the same element stays as it is", async () => {
    const { mount, root, host, seen } = mounted();
    document.body.append(host);
    const button = root.appendChild(document.createElement("button"));
    mount.render(host);
    vi.advanceTimersByTime(LOOK);
    button.focus();
    const moved = vi.fn();
    new MutationObserver(moved).observe(host, { childList: true });
    mount.render(host);
    mount.render(host);
    await vi.advanceTimersByTimeAsync(LOOK);
    expect(document.activeElement).toBe(button);
    expect(moved).not.toHaveBeenCalled();
    expect(host.childNodes).toHaveLength(1);
    expect(seen).toEqual([true]);
  });

  it("takes the place of what another tab left there", () => {
    const { mount, root, host } = mounted();
    host.append("another tab", document.createElement("p"));
    mount.render(host);
    expect([...host.childNodes]).toEqual([root]);
  });

  it("goes by itself when another tab is opened, without being told", () => {
    const { mount, root, host, tab, seen } = mounted();
    document.body.append(host);
    mount.render(host);
    vi.advanceTimersByTime(LOOK);
    tab.active = false;
    vi.advanceTimersByTime(LOOK);
    expect(root.isConnected).toBe(false);
    expect(seen).toEqual([true, false]);
  });

  it("goes at once when another tab draws beside it in the same element", async () => {
    const { mount, root, host, tab } = mounted();
    document.body.append(host);
    mount.render(host);
    vi.advanceTimersByTime(LOOK);
    tab.active = false;
    host.append(document.createElement("section"));
    await Promise.resolve();
    expect([...host.children].map((child) => child.tagName)).toEqual(["SECTION"]);
    expect(root.isConnected).toBe(false);
  });

  it("leaves another tab's content alone when it goes", () => {
    const { mount, host, tab } = mounted();
    document.body.append(host);
    mount.render(host);
    vi.advanceTimersByTime(LOOK);
    tab.active = false;
    host.replaceChildren(document.createElement("section"));
    vi.advanceTimersByTime(LOOK);
    mount.leave();
    expect(host.children).toHaveLength(1);
  });

  it("goes with its element, comes back in another, and no timer runs in between", () => {
    const { mount, root, host, seen } = mounted();
    document.body.append(host);
    mount.render(host);
    vi.advanceTimersByTime(LOOK);
    host.remove();
    vi.advanceTimersByTime(LOOK);
    expect(seen).toEqual([true, false]);
    expect(vi.getTimerCount()).toBe(0);
    const next = document.body.appendChild(document.createElement("div"));
    mount.render(next);
    vi.advanceTimersByTime(LOOK);
    expect(root.parentElement).toBe(next);
    expect(seen).toEqual([true, false, true]);
  });

  it("is told to leave, even twice", () => {
    const { mount, root, host, seen } = mounted();
    document.body.append(host);
    mount.render(host);
    vi.advanceTimersByTime(LOOK);
    mount.leave();
    mount.leave();
    expect(root.isConnected).toBe(false);
    expect(seen).toEqual([true, false]);
  });

  it("is not seen while the browser's tab is hidden", () => {
    const { mount, host, seen } = mounted();
    document.body.append(host);
    mount.render(host);
    vi.advanceTimersByTime(LOOK);
    setVisibility("hidden");
    setVisibility("visible");
    expect(seen).toEqual([true, false, true]);
  });
});
