/** Icons that differ in shape, not in colour only: circle, triangle, diamond, octagon. */
import { s } from "./dom";
import type { Level } from "./levels";

/** Outline and sign, on a grid of 24. */
const SHAPES: Record<Level | "unknown", readonly [outline: string, sign: string]> = {
  normal: ["M12 2.8a9.2 9.2 0 1 1 0 18.4a9.2 9.2 0 0 1 0-18.4z", "M7.8 12.4l2.9 2.9l5.6-6"],
  warning: ["M12 3.2L22 20.6H2z", "M12 9.6v4.6M12 17.3v.2"],
  critical: ["M12 1.8L22.2 12L12 22.2L1.8 12z", "M12 7.4v5.6M12 16.3v.2"],
  emergency: ["M8.1 2.8h7.8l5.3 5.3v7.8l-5.3 5.3H8.1l-5.3-5.3V8.1z", "M9 9l6 6M15 9l-6 6"],
  unknown: ["M12 2.8a9.2 9.2 0 1 1 0 18.4a9.2 9.2 0 0 1 0-18.4z", "M8 12h.2M12 12h.2M16 12h.2"],
};

/** An icon for a level that can be changed in place; decoration, as the level also stands there in words. */
export class LevelIcon {
  private readonly outline = s("path", { class: "rg-outline" });
  private readonly sign = s("path");
  readonly element = s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, this.outline, this.sign);

  set(level: Level | "unknown"): void {
    if (this.element.dataset.shape === level) return;
    this.element.dataset.shape = level;
    this.outline.setAttribute("d", SHAPES[level][0]);
    this.sign.setAttribute("d", SHAPES[level][1]);
  }
}

const SIGNS = {
  pause: "M8 5v14M16 5v14",
  play: "M8 4.8v14.4L19 12z",
  eject: "M12 5L4.5 14h15zM4.5 19h15",
  stop: "M6 6h12v12H6z",
  again: "M4 5v5h5M4.6 10A8 8 0 1 1 4 14.5",
  eye: "M2 12s3.6-6.5 10-6.5S22 12 22 12s-3.6 6.5-10 6.5S2 12 2 12zM12 9.4v5.2M9.4 12h5.2",
  bell: "M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 20.5h4",
} as const;

export type SignName = keyof typeof SIGNS;

/** A small sign for a button. */
export class Sign {
  private readonly path = s("path");
  readonly element = s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "rg-sign" }, this.path);

  constructor(name: SignName) {
    this.set(name);
  }

  set(name: SignName): void {
    if (this.path.getAttribute("d") !== SIGNS[name]) this.path.setAttribute("d", SIGNS[name]);
  }
}
