/** What a person must know though the panel may be closed: toasts, and the end of a batch. Nothing else makes a noise. */
import { Formats } from "./format";
import type { Texts } from "./i18n";
import type { BatchEvent, Summary } from "./jobs";
import type { News } from "./shell";
import type { Status } from "./status";
import { culprit } from "./tiers";
import { resourceName } from "./views/names";

/** Milliseconds after a toast of an emergency during which another tells nothing new. */
export const QUIET = 60_000;

/** Where the number of jobs that are set aside is kept: a reload must not tell of them again. */
const KNOWN = "resource-gate.set-aside";

export class Newsroom {
  private before: Status | null = null;
  private told = -Infinity;

  constructor(
    private readonly texts: () => Texts,
    private readonly tell: (news: News) => void,
  ) {}

  /** A status came. */
  status(status: Status, now: number): void {
    const { before } = this;
    this.before = status;
    const set = status.batch.quarantined;
    // The storage is only asked when the number has changed: statuses come ten times a second.
    const known = set === before?.batch.quarantined ? set : this.known(set);
    if (set > known) this.tell({ severity: "warn", text: this.texts().plural("toast.quarantined", set - known) });
    if (status.level !== "emergency" || before?.level === "emergency" || now - this.told < QUIET) return;
    this.told = now;
    const worst = culprit(status)?.resource;
    const texts = this.texts();
    const values = worst && { name: resourceName(worst, status, texts), percent: new Formats(texts.spoken).percent(worst.fraction) };
    this.tell({ severity: "error", text: values ? texts.t("toast.emergency", values) : texts.t("level.emergency") });
  }

  /** Something happened to a batch. */
  batch(event: BatchEvent): void {
    const texts = this.texts();
    if (event.kind === "restored") this.tell({ severity: "info", text: texts.plural("toast.restored", event.count) });
    if (event.kind === "batch_ended" && event.summary) this.notify(event.summary);
  }

  /** A notification of the browser, where it is allowed and the page is not being looked at. */
  private notify(summary: Summary): void {
    if (!("Notification" in globalThis) || Notification.permission !== "granted" || document.visibilityState === "visible") return;
    const texts = this.texts();
    const body = summaryText(summary, texts, new Formats(texts.spoken));
    try {
      new Notification(texts.t("summary.over"), { body, tag: "resource-gate" });
    } catch {
      // Some mobile browsers only let service workers notify; the panel shows the summary all the same.
    }
  }

  private known(set: number): number {
    try {
      const known = Number(localStorage.getItem(KNOWN) ?? 0);
      if (set !== known) localStorage.setItem(KNOWN, String(set));
      return known;
    } catch {
      return Infinity; // No storage: the card in the panel tells, the toast would come again and again.
    }
  }
}

/** `19 done, 1 failed, in 26 min; highest RAM 24.9 GB; 3.2 GB freed in 4 actions`. */
export function summaryText(summary: Summary, texts: Texts, formats: Formats): string {
  const n = (value: number): { n: string } => ({ n: formats.count(value) });
  const parts = [texts.plural("summary.done", summary.done, n(summary.done))];
  if (summary.failed) parts.push(texts.plural("queue.failed", summary.failed, n(summary.failed)));
  if (summary.retried) parts.push(texts.plural("queue.retried", summary.retried, n(summary.retried)));
  if (summary.seconds !== null) parts.push(texts.t("jobs.took", { time: formats.duration(summary.seconds) }));
  if (summary.peakRam) parts.push(texts.t("summary.peak", { bytes: formats.bytes(summary.peakRam) }));
  if (summary.actions) {
    parts.push(texts.plural("summary.freed", summary.actions, { ...n(summary.actions), bytes: formats.bytes(summary.freed) }));
  }
  return parts.join(" · ");
}
