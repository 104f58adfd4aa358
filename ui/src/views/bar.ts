import { h, setAttr, setVar } from "../dom";

/** A plain progress bar. */
export class Bar {
  readonly element = h("div", { class: "rg-bar", attrs: { role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" } }, h("i"));

  /**
   * @param fraction 0–1; null: it goes on, nobody knows how far.
   * @param failed how much of that came to nothing; it is the end of the bar, in red.
   */
  update(fraction: number | null, label: string, failed = 0): void {
    const percent = fraction === null ? null : Math.round(Math.min(1, Math.max(0, fraction)) * 1000) / 10;
    setAttr(this.element, "aria-valuenow", percent === null ? null : String(Math.round(percent)));
    setAttr(this.element, "aria-label", label);
    setVar(this.element, "--at", `${percent ?? 100}%`);
    setVar(this.element, "--failed", `${Math.round(failed * 1000) / 10}%`);
    setAttr(this.element, "data-endless", percent === null ? "" : null);
  }
}
