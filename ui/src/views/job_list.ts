import { h, Keyed, setOptional, show } from "../dom";
import type { Job, Running } from "../jobs";
import type { Context, Deeds, View } from "../view";
import { Button, ready } from "./button";
import { JobRow, RunningRow } from "./job_row";
import { Fold } from "./fold";

/** What became of each job, newest first, a page at a time; folded until somebody wants to know. */
export class JobList implements View {
  private readonly fold: Fold;
  readonly element: HTMLElement;
  private readonly none = h("p", { class: "rg-muted" });
  private readonly runningList = h("ul", { class: "rg-jobs" });
  private readonly rows = h("ul", { class: "rg-jobs" });
  private readonly running = new Keyed<Running, RunningRow>(this.runningList, () => new RunningRow());
  private readonly jobs: Keyed<Job, JobRow>;
  private readonly older: Button;
  private shownOf: unknown = null;

  constructor(deeds: Deeds) {
    this.fold = new Fold(() => deeds.redraw());
    this.element = this.fold.element;
    this.jobs = new Keyed(this.rows, () => new JobRow((id) => deeds.retry([id])));
    this.older = new Button("older", () => deeds.older());
    this.fold.body.append(this.none, this.runningList, this.rows, this.older.element);
  }

  update(context: Context): void {
    const { state, texts } = context;
    this.fold.head(texts.t("jobs.heading"));
    if (!this.fold.open) return;
    const { jobs } = state;
    setOptional(this.none, !jobs ? texts.t("jobs.loading") : jobs.problem || (jobs.rows.length ? "" : texts.t("jobs.none")));
    this.running.update(jobs?.running ?? [], (job) => job.id, (row, job) => row.update(job, context));
    show(this.runningList, Boolean(jobs?.running.length));
    this.older.update(texts.t("jobs.older"), state.link !== "lost");
    show(this.older.element, jobs?.next != null);
    // Ended jobs do not change by themselves: hundreds of rows are only gone through when there is something new.
    const key = [jobs?.rows, texts, ready(state), state.client].map(identity).join();
    if (key === this.shownOf) return;
    this.shownOf = key;
    const runs = new Set(jobs?.running.map((job) => job.id));
    const rows = (jobs?.rows ?? []).filter((job) => !(job.state === "running" && runs.has(job.id)));
    this.jobs.update(rows, (job) => String(job.seq), (row, job) => row.update(job, context));
  }
}

const ids = new WeakMap<object, number>();
let lastId = 0;

/** A number that stands for the very same object. */
function identity(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  let id = ids.get(value);
  if (!id) ids.set(value, (id = ++lastId));
  return id;
}
