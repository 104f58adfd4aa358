/** Wires a shell, the state and the panel together. */
import { Commands, deeds, offered } from "./commands";
import { Formats } from "./format";
import { Texts } from "./i18n";
import { readBatchEvent } from "./jobs";
import { Glance, Lease } from "./lease";
import { Loader } from "./loader";
import { Mount } from "./mount";
import { Newsroom } from "./news";
import { Panel } from "./panel";
import type { Answer, Shell } from "./shell";
import { after, empty, type Happening, type Place, type State } from "./state";
import type { Status } from "./status";
import { badgeOf } from "./tiers";
import { why } from "./views/head";

export const TAB = "resource-gate";
/** Milliseconds between two changes of what the entry beside Run says, while the level stays. */
const ENTRY_PACE = 5_000;

const visible = (): boolean => document.visibilityState === "visible";

/** What a person is waiting for: it is shown as it changes. An action comes as an event of its own. */
const turn = (status: Status | null): string =>
  status ? [status.level, status.gate.state, status.queue.running, status.queue.pending, status.batch.done, status.batch.failed].join() : "";

export class App {
  private state: State = empty();
  private texts = new Texts();
  private translations: Record<string, unknown> = {};
  private badgeWanted = true;
  private entryWanted = true;
  private badge: string | null = null;
  private formats = new Formats("en");
  /** What the entry beside Run was last told, and when. */
  private entry = { key: "", at: -Infinity };
  private seen = false;
  private ticker: ReturnType<typeof setInterval> | null = null;
  readonly panel: Panel;
  private readonly commands: Commands;
  private readonly lease: Lease;
  private readonly glance: Glance;
  private readonly loader: Loader;
  private readonly mount: Mount;
  private readonly news: Newsroom;

  constructor(private readonly shell: Shell) {
    const happen = (happening: Happening): void => this.happen(happening);
    this.commands = new Commands(shell, () => this.state, () => this.texts, happen, (place) => this.changed(place));
    this.loader = new Loader(shell, () => this.state, happen);
    this.news = new Newsroom(() => this.texts, (news) => shell.toast(news));
    this.panel = new Panel(() => this.state, deeds(this.commands, this.loader, (urgent) => this.panel.redraw(urgent)));
    this.lease = new Lease(() => shell.clientId(), (route) => shell.get(route), (answer) => this.answered(answer));
    this.glance = new Glance(() => this.look());
    this.mount = new Mount(this.panel.element, () => shell.active(), (seen) => this.onSeen(seen), () => this.checkLocale());
    this.listen();
  }

  private listen(): void {
    const { shell } = this;
    // A page that nobody sees asks for the newest once it is seen again.
    shell.on("status", (data) => visible() && this.happen({ type: "pushed", data, now: Date.now() }));
    shell.on("action", (data) => this.happen({ type: "action", data }));
    shell.on("batch", (data) => this.onBatch(data));
    shell.on("reconnecting", () => this.happen({ type: "reconnecting" }));
    shell.on("reconnected", () => {
      this.lease.now();
      this.loader.look(this.seen);
      this.glance.queueChanged();
    });
    shell.on("queue", () => this.glance.queueChanged());
    document.addEventListener("visibilitychange", () => this.settleGlance());
  }

  /** Offer the panel to the user. */
  start(): void {
    this.shell.present({
      id: TAB,
      icon: "pi pi-gauge",
      ready: async () => {
        await this.loadTexts();
        this.settleGlance();
      },
      title: () => this.texts.t("title"),
      tooltip: () => this.texts.t("tooltip"),
      commands: offered(this.commands, () => this.shell.toggle()),
      keybinding: { key: "g", alt: true, shift: true },
      mount: (element) => this.mount.render(element),
      unmount: () => this.mount.leave(),
      badgeWanted: (wanted) => {
        this.badgeWanted = wanted;
        this.showLevel();
        this.settleGlance();
      },
      entryWanted: (wanted) => {
        this.entryWanted = wanted;
        this.showLevel();
        this.settleGlance();
      },
    });
  }

  private happen(happening: Happening): void {
    const before = this.state;
    this.state = after(before, happening);
    if (this.state === before) return;
    const { status } = this.state;
    if (status !== before.status && status) this.onStatus(status, before.status);
    if (status !== before.status || this.state.link !== before.link) this.showLevel();
    // Readings can wait for the pace; what a person did, or must see, does not.
    const calm = ["pushed", "tick"].includes(happening.type);
    this.panel.redraw(!calm || (status !== before.status && turn(status) !== turn(before.status)));
  }

  private onStatus(status: Status, before: Status | null): void {
    this.news.status(status, Date.now());
    const count = ({ batch }: Status): number[] => [batch.done, batch.failed, batch.total, batch.restorable, batch.quarantined];
    if (before && String(count(before)) !== String(count(status))) this.loader.refresh("jobs", "marks");
  }

  private onBatch(data: unknown): void {
    const event = readBatchEvent(data);
    this.news.batch(event);
    if (event.summary) this.happen({ type: "loaded", part: { summary: event.summary } });
    else if (event.kind === "started") this.happen({ type: "loaded", part: { summary: null } });
    this.loader.refresh("jobs", "marks");
  }

  private answered(answer: Answer): void {
    this.happen({ type: "loaded", part: { client: this.shell.clientId() } });
    this.happen({ type: "answer", answer, now: Date.now() });
    if (answer.kind === "ok" && !this.texts.complete) void this.loadTexts();
  }

  private onSeen(seen: boolean): void {
    this.seen = seen;
    if (seen) this.checkLocale();
    this.lease.hold(seen);
    this.loader.look(seen);
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

  /** A command was answered. */
  private changed(place: Place): void {
    if (this.seen) this.lease.now();
    else void this.look();
    if (place === "free") this.loader.refresh("costs", "log");
    else if (place === "settings" || place === "thresholds") this.loader.refresh("form");
    else this.loader.refresh("jobs");
  }

  private settleGlance(): void {
    this.glance.allow((this.badgeWanted || this.entryWanted) && !this.seen && visible());
  }

  private async look(): Promise<boolean> {
    this.answered(await this.shell.get("/resource_gate/status"));
    const { status } = this.state;
    return status !== null && (badgeOf(status) !== null || status.queue.running + status.queue.pending > 0);
  }

  private showLevel(): void {
    const { status, link } = this.state;
    const kind = this.badgeWanted && status ? badgeOf(status) : null;
    const badge = kind && this.texts.t(`badge.${kind}`);
    if (badge !== this.badge) this.shell.badge((this.badge = badge));
    const level = status && link === "live" ? status.level : "unknown";
    const key = `${level} ${this.entryWanted} ${this.texts.locale} ${this.texts.complete}`;
    // Its small print follows slowly: events come ten times a second.
    if (key === this.entry.key && Date.now() < this.entry.at + ENTRY_PACE) return;
    this.entry = { key, at: Date.now() };
    if (!this.entryWanted) return this.shell.entry(null);
    const context = { state: this.state, texts: this.texts, formats: this.formats, now: 0 };
    this.shell.entry({ level, word: this.texts.t(`level.${level}`), why: why(context) });
  }

  private async loadTexts(): Promise<void> {
    if (!this.texts.complete) this.translations = await this.shell.translations();
    this.texts = new Texts(this.shell.locale(), this.translations);
    this.formats = new Formats(this.texts.spoken);
    this.panel.speak(this.texts);
    this.showLevel();
  }

  /** The language can be changed while the page is open. */
  private checkLocale(): void {
    if (this.shell.locale() !== this.texts.locale) void this.loadTexts();
  }
}
