import { describe, expect, it } from "vitest";
import english from "../../locales/en/main.json";
import { Formats } from "../src/format";
import { Texts } from "../src/i18n";
import { extended, readJobs, refreshed, type Job, type Jobs } from "../src/jobs";
import { summaryText } from "../src/news";
import { factsOf, stateName } from "../src/views/job_row";

const texts = new Texts("en", { en: english });
const formats = new Formats("en");
const plain = (text: string): string => text.replaceAll("\u00a0", " ");
const row = (seq: number, more: object = {}): object => ({ seq, id: `id-${seq}`, state: "done", ...more });
const page = (from: number, to: number, next: number | null): Jobs =>
  readJobs({ jobs: Array.from({ length: from - to + 1 }, (_, at) => row(from - at)), next });
const seqs = (jobs: Jobs): number[] => jobs.rows.map((job) => job.seq);
const job = (more: object): Job => readJobs({ jobs: [row(1, more)] }).rows[0] as Job;

describe("the list of jobs", () => {
  it("keeps older pages when the first one comes anew", () => {
    const both = extended(page(10, 6, 6), page(5, 1, null));
    expect(seqs(both)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    const newer = refreshed(both, page(12, 8, 8));
    expect(seqs(newer)).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    expect(newer.next).toBeNull();
  });

  it("begins anew where rows between the two would be missing", () => {
    expect(seqs(refreshed(page(10, 6, 6), page(40, 36, 36)))).toEqual([40, 39, 38, 37, 36]);
  });

  it("tells of a job what it took, what was done for it, and where it came from", () => {
    const facts = factsOf(
      job({ seconds: 84, wait: 12, peak_ram: 2 ** 33, predicted: 2 ** 33 + 2 ** 30, peak_vram: { vram0: 2 ** 30, vram1: 2 ** 32 }, retries: 1, actions: 2, freed: 2 ** 31, client: "me" }),
      "me",
      texts,
      formats,
    );
    expect(facts.map(plain)).toEqual(["took 1 min, 24 sec", "waited 12 sec", "RAM 8.0 GB", "expected 9.0 GB", "VRAM 4.0 GB", "1 retry", "2 actions, 2.0 GB freed", "from this tab"]);
    expect(factsOf(job({ client: "x" }), "me", texts, formats)).toEqual(["from another tab"]);
    expect(factsOf(job({}), null, texts, formats)).toEqual(["from the API"]);
  });

  it("names states in words, and one it does not know as the server does", () => {
    expect([job({ state: "retried" }), job({ state: "odd" }), job({ state: "queued", restorable: true })].map((one) => stateName(one, texts))).toEqual([
      "To be retried",
      "odd",
      "Left over",
    ]);
  });

  it("sums a batch up, leaving out what did not happen", () => {
    const summary = { done: 1, failed: 0, retried: 0, seconds: null, peakRam: null, freed: 0, actions: 0 };
    expect(summaryText(summary, texts, formats)).toBe("1 done");
    expect(plain(summaryText({ ...summary, done: 19, failed: 1, seconds: 90, actions: 1, freed: 2 ** 30 }, texts, formats))).toBe(
      "19 done · 1 failed · took 1 min, 30 sec · 1.0 GB freed in 1 action",
    );
  });
});
