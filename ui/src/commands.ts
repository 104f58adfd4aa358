/** What the buttons and commands send to the server, and how what came of it is told. */
import type { Strength } from "./costs";
import { Formats } from "./format";
import { nested, readForm, type Refusal } from "./form";
import type { Texts } from "./i18n";
import type { Loader } from "./loader";
import { list, object } from "./read";
import type { Answer, Command, Outcome, Shell } from "./shell";
import type { Happening, Place, State } from "./state";
import type { Deeds, Question } from "./view";
import { readFreed } from "./action";
import { deferredWhy, refusalWhy } from "./views/words";

export class Commands {
  /** @param done called when the server may have changed. */
  constructor(
    private readonly shell: Shell,
    private readonly state: () => State,
    private readonly texts: () => Texts,
    private readonly happen: (happening: Happening) => void,
    private readonly done: (place: Place) => void,
  ) {}

  free(level: Strength, dryRun = false): Promise<Outcome> {
    const body = dryRun ? { level, dry_run: true } : { level };
    return this.send("free", "free", body, (data) => {
      const { freed, deferred, cause, actions } = readFreed(data);
      const bytes = this.formats().bytes(freed);
      this.happen({ type: "loaded", part: { plan: dryRun ? { freed, actions } : null } });
      if (dryRun) return freed > 0 ? this.t("free.would", { bytes }) : this.t(actions.length ? "free.wouldTry" : "free.wouldNot");
      if (deferred) return this.t("free.deferred", { bytes, reason: deferredWhy(cause, this.texts()) ?? deferred });
      return freed > 0 ? this.t("free.freed", { bytes }) : this.t("free.nothing");
    });
  }

  pause(): Promise<Outcome> {
    return this.send("gate", "pause", {}, () => this.t("toast.paused"));
  }

  resume(): Promise<Outcome> {
    return this.send("gate", "resume", {}, () => this.t("toast.resumed"));
  }

  stop(): Promise<Outcome> {
    return this.send("gate", "batch/stop", {}, () => this.t("toast.stopping"));
  }

  retry(ids?: string[]): Promise<Outcome> {
    return this.send("batch", "batch/retry", ids ? { ids } : {}, (data) => {
      const [queued, refused] = [list(object(data).queued), list(object(data).refused)];
      const said = this.texts().plural("jobs.requeued", queued.length);
      return refused.length ? `${said} ${this.t("jobs.refused", { why: refusalWhy(refused[0], this.texts()) })}` : said;
    });
  }

  restore(discard: boolean, ids?: string[]): Promise<Outcome> {
    return this.send("restore", "batch/restore", ids ? { discard, ids } : { discard }, (data) => {
      if (discard) return this.t("restore.discarded");
      const refused = list(object(data).refused);
      if (refused.length) return this.t("jobs.refused", { why: refusalWhy(refused[0], this.texts()) });
      return this.t("restore.restored");
    });
  }

  async discard(ids: string[] | undefined, question: Question): Promise<void> {
    if (await this.shell.confirm(...question)) await this.restore(true, ids);
  }

  release(id: string): Promise<Outcome> {
    return this.send("aside", "batch/release", { id }, (data) => {
      const refused = list(object(data).refused);
      return refused.length ? this.t("jobs.refused", { why: refusalWhy(refused[0], this.texts()) }) : this.t("aside.released");
    });
  }

  change(changes: readonly (readonly [string, unknown])[], place: "settings" | "thresholds"): Promise<Outcome> {
    return this.send(place, "settings", nested(changes), (data) => this.taken(data, "settings.saved"));
  }

  /** @param items what would be lost, which is asked about first. */
  async reset(items: string[]): Promise<boolean> {
    if (!(await this.shell.confirm(this.t("settings.resetTitle"), this.t("settings.resetAbout"), items))) return false;
    return (await this.send("settings", "settings/reset", {}, (data) => this.taken(data, "settings.wasReset"))).ok;
  }

  private taken(data: unknown, key: "settings.saved" | "settings.wasReset"): string {
    const part = object(data).settings ? { form: readForm(data), refusals: [] } : { refusals: [] };
    this.happen({ type: "loaded", part });
    return this.t(key);
  }

  private async send(place: Place, route: string, body: object, say: (data: unknown) => string): Promise<Outcome> {
    if (this.state().busy) return { ok: false, text: this.failed(this.t("free.working")) };
    this.happen({ type: "busy", place });
    const answer = await this.shell.post(`/resource_gate/${route}`, body);
    const refusals = answer.kind === "refused" ? (answer.fields ?? []) : [];
    const outcome: Outcome =
      answer.kind === "ok" ? { ok: true, text: say(answer.data) } : { ok: false, text: this.failed(this.reason(answer, refusals)) };
    if (place === "settings" || place === "thresholds") this.happen({ type: "loaded", part: { refusals } });
    this.happen({ type: "said", place, ...outcome, now: Date.now() });
    this.done(place);
    return outcome;
  }

  private reason(answer: Exclude<Answer, { kind: "ok" }>, refusals: Refusal[]): string {
    if (answer.kind !== "refused") return this.t(`link.${answer.kind === "missing" ? "missing" : "lost"}`);
    const [first] = refusals;
    const kept = first && first.inForce != null ? ` ${this.t("settings.inForce", { value: String(first.inForce) })}` : "";
    return kept ? answer.message.replace(/\.?$/, ".") + kept : answer.message;
  }

  private failed(message: string): string {
    return this.t("free.failed", { message });
  }

  private formats(): Formats {
    return new Formats(this.texts().spoken);
  }

  private t: Texts["t"] = (key, values) => this.texts().t(key, values);
}

/** The commands for ComfyUI's menu and palette; labels in English, ComfyUI translates them by `commands.json`. */
export function offered(commands: Commands, toggle: () => void): Command[] {
  const command = (name: string, icon: string, label: string, run: Command["run"]): Command => ({ id: `ResourceGate.${name}`, icon, label, run });
  return [
    command("Toggle", "pi pi-gauge", "Show or Hide the Panel", () => (toggle(), Promise.resolve(null))),
    command("Free", "pi pi-eraser", "Free Memory Now", () => commands.free("critical")),
    command("Pause", "pi pi-pause", "Pause the Gate", () => commands.pause()),
    command("Resume", "pi pi-play", "Resume the Gate", () => commands.resume()),
    command("Stop", "pi pi-stop", "Stop After the Current Job", () => commands.stop()),
    command("Retry", "pi pi-replay", "Retry Failed Jobs", () => commands.retry()),
  ];
}

/** What the buttons of the panel do. */
export const deeds = (commands: Commands, loader: Loader, redraw: (urgent: boolean) => void): Deeds => ({
  free: (strength, dryRun) => void commands.free(strength, dryRun),
  pause: () => void commands.pause(),
  resume: () => void commands.resume(),
  stop: () => void commands.stop(),
  retry: (ids) => void commands.retry(ids),
  restore: (ids) => void commands.restore(false, ids),
  discard: (ids, question) => void commands.discard(ids, question),
  release: (id) => void commands.release(id),
  change: (changes, place) => void commands.change(changes, place),
  reset: (items) => commands.reset(items),
  redraw: () => redraw(true),
  want: (what, wanted) => loader.want(what, wanted),
  again: (what) => loader.refresh(what),
  older: () => void loader.older(),
  allowNotices: () => void Notification.requestPermission().then(() => redraw(true)),
});
