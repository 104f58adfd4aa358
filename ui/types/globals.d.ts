/** The panel's version, put in by the build. */
declare const __VERSION__: string;

declare module "*.css?inline" {
  const css: string;
  export default css;
}

/** The few English texts that are built in: a part of `locales/en/main.json`, cut out by the build. */
declare module "virtual:core-texts" {
  const texts: Record<string, unknown>;
  export default texts;
}
