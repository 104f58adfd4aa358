/** What is asked for besides the status: only while somebody looks at it, and never more often than it can change. */
import { readCosts } from "./costs";
import { readFleet } from "./fleet";
import { readForm } from "./form";
import { extended, readJobs, refreshed } from "./jobs";
import { list, object } from "./read";
import type { Shell } from "./shell";
import type { Happening, State } from "./state";
import { readAction } from "./action";
import type { Wanted } from "./view";

/** Milliseconds between two looks at the same: events come in bunches. */
export const GAP = 2_000;
/** Jobs a page. */
const PAGE = 25;
/** Points of history: one each 6 s of the hour, more than the widest time line has pixels for. */
const POINTS = 600;

/** What is asked for whenever the panel is seen. */
const ALWAYS = ["history", "marks", "jobs"] as const;

type Part = Wanted | (typeof ALWAYS)[number] | "fleet";

export class Loader {
  /** How many parts of the panel want it. */
  private readonly wanted = new Map<Wanted, number>();
  private readonly timers = new Map<Part, ReturnType<typeof setTimeout>>();
  private readonly asked = new Map<Part, number>();
  private seen = false;
  private fleet = true;

  constructor(
    private readonly shell: Shell,
    private readonly state: () => State,
    private readonly happen: (happening: Happening) => void,
  ) {}

  /** The panel is seen, or no longer. */
  look(seen: boolean): void {
    this.seen = seen;
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    if (!seen) return;
    this.refresh(...ALWAYS, ...this.wanted.keys());
    if (this.shell.standalone && this.fleet) void this.ask("fleet");
  }

  /** A part of the panel wants this, or no longer. */
  want(what: Wanted, wanted: boolean): void {
    const many = Math.max(0, (this.wanted.get(what) ?? 0) + (wanted ? 1 : -1));
    this.wanted.set(what, many);
    if (wanted && many === 1 && this.seen) void this.ask(what);
  }

  /** These may have changed: ask anew for what is wanted, soon. */
  refresh(...parts: Part[]): void {
    for (const part of parts) {
      const needed = ALWAYS.includes(part as "jobs") || Boolean(this.wanted.get(part as Wanted));
      if (!this.seen || !needed || this.timers.has(part)) continue;
      const wait = Math.max(0, (this.asked.get(part) ?? -Infinity) + GAP - Date.now());
      this.timers.set(part, setTimeout(() => void this.ask(part), wait));
    }
  }

  /** Jobs older than those shown. */
  async older(): Promise<void> {
    const before = this.state().jobs?.next;
    if (before == null) return;
    const answer = await this.shell.get(`/resource_gate/batch?limit=${PAGE}&before=${before}`);
    const { jobs } = this.state();
    if (answer.kind === "ok" && jobs?.next === before) this.happen({ type: "loaded", part: { jobs: extended(jobs, readJobs(answer.data)) } });
  }

  private async ask(part: Part): Promise<void> {
    clearTimeout(this.timers.get(part));
    this.timers.delete(part);
    this.asked.set(part, Date.now());
    const answer = await this.shell.get(`/resource_gate/${this.route(part)}`);
    if (answer.kind === "ok") this.take(part, answer.data);
    if (part !== "fleet") return;
    this.fleet = answer.kind === "ok" || (answer.kind === "unreachable" && this.state().fleet !== null);
    if (this.fleet && this.seen) this.timers.set("fleet", setTimeout(() => void this.ask("fleet"), GAP));
  }

  private route(part: Part): string {
    switch (part) {
      case "jobs":
        return `batch?limit=${PAGE}`;
      case "history":
        return `history?points=${POINTS}`;
      case "marks":
        return "history/marks";
      case "costs":
        return "free/costs";
      case "form":
        return "settings";
      default:
        return part;
    }
  }

  private take(part: Part, data: unknown): void {
    const { jobs, trail } = this.state();
    const load = (loaded: Partial<State>): void => this.happen({ type: "loaded", part: loaded });
    switch (part) {
      case "jobs":
        return load({ jobs: refreshed(jobs, readJobs(data)) });
      case "log":
        return load({ log: (Array.isArray(data) ? data : list(object(data).actions)).map(readAction) });
      case "costs":
        return load({ costs: readCosts(data) });
      case "form":
        return load({ form: readForm(data) });
      case "fleet":
        this.refresh("jobs"); // A runner's dashboard pushes nothing.
        return load({ fleet: readFleet(data) });
      case "history":
        trail.load(data);
        return load({});
      case "marks":
        trail.loadMarks(data);
        return load({});
    }
  }
}
