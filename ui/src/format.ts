/** Numbers as a person reads them, in the user's language. */

const STEP = 1024;
/** A number and its unit stay on one line. */
const NBSP = "\u00a0";
/** As the server's sentences, ComfyUI's log and Windows write them, in powers of 1024. */
const UNITS = ["B", "KB", "MB", "GB", "TB"] as const;

export class Formats {
  private readonly cache = new Map<string, Intl.NumberFormat>();
  private readonly clockFormat: Intl.DateTimeFormat;
  private readonly timeFormat: Intl.DateTimeFormat;
  private readonly dateFormat: Intl.DateTimeFormat;
  private readonly agoFormat: Intl.RelativeTimeFormat;
  private readonly listFormat: Intl.ListFormat;
  private readonly partsFormat: Intl.ListFormat;

  /** @param locale as `en` or `pt-BR`; one that the browser does not know counts as English. */
  constructor(locale: string) {
    this.locale = Intl.NumberFormat.supportedLocalesOf([locale])[0] ?? "en";
    this.clockFormat = new Intl.DateTimeFormat(this.locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
    this.timeFormat = new Intl.DateTimeFormat(this.locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    this.dateFormat = new Intl.DateTimeFormat(this.locale, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    this.agoFormat = new Intl.RelativeTimeFormat(this.locale, { numeric: "auto" });
    this.listFormat = new Intl.ListFormat(this.locale, { type: "conjunction" });
    this.partsFormat = new Intl.ListFormat(this.locale, { type: "unit", style: "short" });
  }

  readonly locale: string;

  /** `7.3 GB`, `812 MB`. */
  bytes(value: number): string {
    const unit = unitFor(value);
    return `${this.scaled(value, unit)}${NBSP}${UNITS[unit]}`;
  }

  /** Two amounts in the unit of the second: `["7.3", "8.0 GB"]`. */
  bytesPair(used: number, limit: number): [string, string] {
    const unit = unitFor(limit);
    return [this.scaled(used, unit), `${this.scaled(limit, unit)}${NBSP}${UNITS[unit]}`];
  }

  /** `91%`. Rounded down from 99.5 on, so that only what is full reads as full. */
  percent(fraction: number): string {
    const shown = fraction < 1 ? Math.min(fraction, 0.99) : fraction;
    return this.number(shown, { style: "percent", maximumFractionDigits: 0 });
  }

  count(value: number): string {
    return this.number(value, { maximumFractionDigits: 0 });
  }

  /** As it is, with three decimals at most: `0.05`. */
  plain(value: number): string {
    return this.number(value, { maximumFractionDigits: 3, useGrouping: false });
  }

  /** One decimal, always: `5.0`. */
  decimal(value: number): string {
    return this.number(value, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  }

  /** `4 sec`, `3 min, 20 sec`, `1 hr, 5 min`, `2 days, 3 hr`: two parts at most. `rough` keeps the first where it is large. */
  duration(seconds: number, rough = false): string {
    if (seconds > 0 && seconds < 0.1) return this.unit(Math.max(1, seconds * 1000), "millisecond");
    if (seconds > 0 && seconds < 1) return this.unit(seconds, "second", 1);
    const whole = Math.max(0, Math.round(seconds));
    if (whole < 60) return this.unit(whole, "second");
    const minutes = Math.floor(whole / 60);
    if (whole < 3600) {
      if (rough && whole >= 300) return this.unit(Math.round(whole / 60), "minute");
      return this.two([minutes, "minute"], [whole % 60, "second"]);
    }
    const hours = Math.floor(whole / 3600);
    if (whole < 86400) return this.two([hours, "hour"], [minutes % 60, "minute"]);
    return this.two([Math.floor(hours / 24), "day"], [hours % 24, "hour"]);
  }

  /** `2 minutes ago`, `now`. */
  ago(seconds: number): string {
    const whole = Math.max(0, Math.round(seconds));
    if (whole < 5) return this.agoFormat.format(0, "second");
    if (whole < 60) return this.agoFormat.format(-whole, "second");
    if (whole < 3600) return this.agoFormat.format(-Math.floor(whole / 60), "minute");
    if (whole < 86400) return this.agoFormat.format(-Math.floor(whole / 3600), "hour");
    return this.agoFormat.format(-Math.floor(whole / 86400), "day");
  }

  /** `14:03:22`, on this machine's clock. `time`: seconds since the epoch. */
  clock(time: number): string {
    return this.clockFormat.format(new Date(time * 1000));
  }

  /** `14:03`. */
  time(time: number): string {
    return this.timeFormat.format(new Date(time * 1000));
  }

  /** `Nov 23, 14:03`. */
  date(time: number): string {
    return this.dateFormat.format(new Date(time * 1000));
  }

  /** `output and temp`. */
  list(items: readonly string[]): string {
    return this.listFormat.format(items);
  }

  private scaled(value: number, unit: number): string {
    const amount = value / STEP ** unit;
    const digits = unit >= 3 && Math.abs(amount) < 99.95 ? 1 : 0;
    return this.number(amount, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  }

  private two(first: [number, string], second: [number, string]): string {
    const parts = [first, second].filter(([value], index) => index === 0 || value > 0);
    return this.partsFormat.format(parts.map(([value, unit]) => this.unit(value, unit)));
  }

  private unit(value: number, unit: string, digits = 0): string {
    return this.number(value, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: digits });
  }

  private number(value: number, options: Intl.NumberFormatOptions): string {
    const { style, unit, minimumFractionDigits, maximumFractionDigits, useGrouping } = options;
    const key = `${style} ${unit} ${minimumFractionDigits} ${maximumFractionDigits} ${useGrouping}`;
    let format = this.cache.get(key);
    if (!format) this.cache.set(key, (format = new Intl.NumberFormat(this.locale, options)));
    return format.format(value);
  }
}

/** The unit an amount reads best in: the largest it reaches, where 0.95 of a unit already counts as one. */
function unitFor(value: number): number {
  let unit = 0;
  while (unit < UNITS.length - 1 && Math.abs(value) >= 0.95 * STEP ** (unit + 1)) unit++;
  return unit;
}
