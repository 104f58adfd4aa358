/**
 * Where the panel is, and whether it is seen. A sidebar tab of ComfyUI is told when the panel closes, but not when another
 * tab is opened in the same element; it is drawn again and again, and drawn while the element is not in the page yet.
 */

/** Milliseconds between two looks at whether the tab is still ours. */
export const LOOK = 500;

export class Mount {
  private host: HTMLElement | null = null;
  private seen = false;
  private timer: ReturnType<typeof setInterval> | null = null;
  private readonly observer: MutationObserver;

  /**
   * @param root the panel's own element.
   * @param active whether the tab being shown is ours.
   * @param onSeen told when the panel starts or stops being seen.
   * @param onLook called at each look while mounted.
   */
  constructor(
    private readonly root: HTMLElement,
    private readonly active: () => boolean,
    private readonly onSeen: (seen: boolean) => void,
    private readonly onLook: () => void = () => undefined,
  ) {
    this.observer = new MutationObserver(() => this.look());
    document.addEventListener("visibilitychange", () => {
      this.watch();
      this.tell();
    });
  }

  /** Put the panel into `host`; with the same host again nothing moves, so focus and scroll stay. */
  render(host: HTMLElement): void {
    if (this.root.parentElement !== host || host.childNodes.length !== 1) host.replaceChildren(this.root);
    if (this.host !== host) {
      this.observer.disconnect();
      this.observer.observe(host, { childList: true });
      this.host = host;
    }
    this.watch();
    // ComfyUI may set the active tab only after it has drawn it.
    requestAnimationFrame(() => this.tell());
  }

  /** Take the panel out. */
  leave(): void {
    this.host = null;
    this.observer.disconnect();
    this.watch();
    this.root.remove();
    this.tell();
  }

  /** Look from time to time while there is something to see: in a hidden page no timer of ours runs. */
  private watch(): void {
    const wanted = this.host !== null && document.visibilityState === "visible";
    if (wanted) this.timer ??= setInterval(() => this.look(), LOOK);
    else if (this.timer !== null) {
      clearInterval(this.timer);
      this.timer = null;
    }
  }

  private look(): void {
    if (!this.host) return;
    // Gone from the page, another tab's content in its place, or another tab's content beside it.
    if (!this.root.isConnected || this.root.parentElement !== this.host || !this.active()) this.leave();
    else {
      this.onLook();
      this.tell();
    }
  }

  private tell(): void {
    const seen = this.host !== null && this.active() && document.visibilityState === "visible";
    if (seen === this.seen) return;
    this.seen = seen;
    this.onSeen(seen);
  }
}
