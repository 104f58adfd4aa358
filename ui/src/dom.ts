/** Small helpers for building DOM once and changing it in place. Text only ever goes in as text. */

export interface Props {
  class?: string;
  text?: string;
  attrs?: Record<string, string>;
  on?: Partial<{ [K in keyof HTMLElementEventMap]: (event: HTMLElementEventMap[K]) => void }>;
}

/** A new element. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (props.class) element.className = props.class;
  if (props.text !== undefined) element.textContent = props.text;
  for (const [name, value] of Object.entries(props.attrs ?? {})) element.setAttribute(name, value);
  for (const [name, listener] of Object.entries(props.on ?? {})) element.addEventListener(name, listener as EventListener);
  element.append(...children);
  return element;
}

/** A new element of an SVG; props as in its source. */
export function s<K extends keyof SVGElementTagNameMap>(tag: K, attrs: Record<string, string> = {}, ...children: Node[]): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attrs)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Set an element's text, touching the DOM only where it differs. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute, or remove it by null, touching the DOM only where it differs. */
export function setAttr(element: Element, name: string, value: string | null): void {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== value) {
    element.setAttribute(name, value);
  }
}

/** Set a custom property, touching the DOM only where it differs. */
export function setVar(element: HTMLElement, name: `--${string}`, value: string): void {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
}

export function show(element: HTMLElement, shown: boolean): void {
  if (element.hidden === shown) element.hidden = !shown;
}

/** Set the text of an element that is hidden while it has none. */
export function setOptional(element: HTMLElement, text: string): void {
  setText(element, text);
  show(element, text !== "");
}

/** A list whose elements are kept, by key, from one update to the next. */
export class Keyed<T, V extends { element: HTMLElement }> {
  private readonly shown = new Map<string, V>();

  constructor(
    private readonly parent: HTMLElement,
    private readonly create: (item: T) => V,
  ) {}

  update(items: readonly T[], key: (item: T) => string, refresh: (view: V, item: T) => void): void {
    const wanted = new Set(items.map(key));
    for (const [name, view] of this.shown) {
      if (wanted.has(name)) continue;
      view.element.remove();
      this.shown.delete(name);
    }
    let place = this.parent.firstElementChild;
    for (const item of items) {
      const name = key(item);
      let view = this.shown.get(name);
      if (!view) this.shown.set(name, (view = this.create(item)));
      refresh(view, item);
      if (view.element === place) place = place.nextElementSibling;
      else this.parent.insertBefore(view.element, place);
    }
  }
}
