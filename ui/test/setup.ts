/** What jsdom lacks and the panel asks of a browser. Nothing is measured: elements there have no size. */
globalThis.ResizeObserver ??= class {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
};
globalThis.matchMedia ??= (() => Object.assign(new EventTarget(), { matches: false, media: "" })) as never;
