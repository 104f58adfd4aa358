/** Wires a shell, the state and the panel together. */
import { Texts } from "./i18n";
import { Glance, Lease } from "./lease";
import { Mount } from "./mount";
import { Panel } from "./panel";
import type { Answer, Contribution, Outcome, Shell } from "./shell";
import { after, EMPTY, type Busy, type Happening, type State } from "./state";
import { readFreed } from "./status";
import { Formats } from "./format";
import { badgeOf } from "./tiers";

export const TAB = "resource-gate";
/** How far "Free memory" goes: everything that costs the running prompt nothing. */
const FREE_LEVEL = "critical";

export class App {
  private state: State = EMPTY;
  private texts = new Texts();
  private translations: Record<string, unknown> | null = null;
  private badgeWanted = true;
  private badge: string | null = null;
  private seen = false;
  private ticker: ReturnType<typeof setInterval> | null = null;
  readonly panel: Panel;
  private readonly lease: Lease;
  private readonly glance: Glance;
  private readonly mount: Mount;

  constructor(private readonly shell: Shell) {
    this.panel = new Panel(() => this.state, {
      free: () => void this.free(),
      pause: () => void this.hold("pause"),
      resume: () => void this.hold("resume"),
      restore: (discard) => void this.restore(discard),
    });
    this.lease = new Lease(() => shell.clientId(), (route) => shell.get(route), (answer) => this.answered(answer));
    this.glance = new Glance(() => this.look());
    this.mount = new Mount(this.panel.element, () => shell.active(), (seen) => this.onSeen(seen), () => this.checkLocale());
    shell.on("status", (data) => this.happen({ type: "pushed", data, now: Date.now() }));
    shell.on("action", (data) => this.happen({ type: "action", data }));
    shell.on("reconnecting", () => this.happen({ type: "reconnecting" }));
    shell.on("reconnected", () => {
      this.lease.now();
      this.glance.queueChanged();
    });
    shell.on("queue", () => this.glance.queueChanged());
    document.addEventListener("visibilitychange", () => this.settleGlance());
  }

  /** Offer the panel to the user. */
  start(): void {
    const contribution: Contribution = {
      id: TAB,
      icon: "pi pi-gauge",
      ready: async () => {
        await this.loadTexts();
        this.settleGlance();
      },
      title: () => this.texts.t("title"),
      tooltip: () => this.texts.t("tooltip"),
      commands: [
        { id: "ResourceGate.Free", icon: "pi pi-eraser", label: "Free Memory Now", run: () => this.free() },
        { id: "ResourceGate.Pause", icon: "pi pi-pause", label: "Pause the Gate", run: () => this.hold("pause") },
        { id: "ResourceGate.Resume", icon: "pi pi-play", label: "Resume the Gate", run: () => this.hold("resume") },
      ],
      mount: (element) => this.mount.render(element),
      unmount: () => this.mount.leave(),
      badgeWanted: (wanted) => {
        this.badgeWanted = wanted;
        this.showBadge();
        this.settleGlance();
      },
    };
    this.shell.present(contribution);
  }

  private happen(happening: Happening): void {
    const before = this.state;
    this.state = after(before, happening);
    if (this.state === before) return;
    this.showBadge();
    this.panel.redraw();
  }

  private answered(answer: Answer): void {
    this.happen({ type: "answer", answer, now: Date.now() });
  }

  private onSeen(seen: boolean): void {
    this.seen = seen;
    if (seen) this.checkLocale();
    this.lease.hold(seen);
    this.settleGlance();
    this.panel.watched(seen);
    if (this.ticker !== null) clearInterval(this.ticker);
    // Times that run: how long the gate has waited, how long ago the last action was.
    this.ticker = seen ? setInterval(() => this.tick(), 1000) : null;
  }

  private tick(): void {
    this.happen({ type: "tick", now: Date.now() });
    this.panel.redraw();
  }

  private settleGlance(): void {
    this.glance.allow(this.badgeWanted && !this.seen && document.visibilityState === "visible");
  }

  private async look(): Promise<boolean> {
    this.answered(await this.shell.get("/resource_gate/status"));
    const { status } = this.state;
    return status !== null && (badgeOf(status) !== null || status.queue.running + status.queue.pending > 0);
  }

  private showBadge(): void {
    const kind = this.badgeWanted && this.state.status ? badgeOf(this.state.status) : null;
    const badge = kind && this.texts.t(`badge.${kind}`);
    if (badge !== this.badge) this.shell.badge((this.badge = badge));
  }

  private async free(): Promise<Outcome> {
    return this.command("free", "/resource_gate/free", { level: FREE_LEVEL }, (data) => {
      const { freed, deferred } = readFreed(data);
      const bytes = new Formats(this.texts.spoken).bytes(freed);
      if (deferred) return this.texts.t("free.deferred", { bytes, reason: deferred });
      return freed > 0 ? this.texts.t("free.freed", { bytes }) : this.texts.t("free.nothing");
    });
  }

  private hold(what: "pause" | "resume"): Promise<Outcome> {
    return this.command(what, `/resource_gate/${what}`, {}, () => this.texts.t(what === "pause" ? "toast.paused" : "toast.resumed"));
  }

  private restore(discard: boolean): Promise<Outcome> {
    return this.command("restore", "/resource_gate/batch/restore", { discard }, () =>
      this.texts.t(discard ? "restore.discarded" : "restore.restored"),
    );
  }

  private async command(busy: Busy, route: string, body: object, say: (data: unknown) => string): Promise<Outcome> {
    if (this.state.busy) return { ok: false, text: this.texts.t("free.failed", { message: this.state.busy }) };
    this.happen({ type: "busy", with: busy });
    const answer = await this.shell.post(route, body);
    const outcome: Outcome =
      answer.kind === "ok"
        ? { ok: true, text: say(answer.data) }
        : { ok: false, text: this.texts.t("free.failed", { message: answer.kind === "refused" ? answer.message : this.texts.t(`link.${answer.kind === "missing" ? "missing" : "lost"}`) }) };
    this.happen({ type: "said", ...outcome, now: Date.now() });
    if (this.seen) this.lease.now();
    else void this.look();
    return outcome;
  }

  private async loadTexts(): Promise<void> {
    this.translations ??= await this.shell.translations();
    this.texts = new Texts(this.shell.locale(), this.translations);
    this.panel.speak(this.texts);
  }

  /** The language can be changed while the page is open. */
  private checkLocale(): void {
    if (this.shell.locale() !== this.texts.locale) void this.loadTexts();
  }
}
