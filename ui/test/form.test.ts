import { describe, expect, it } from "vitest";
import { nested, readForm, shown, typed, type Field } from "../src/form";

/** As pydantic writes it. */
const ANSWER = {
  settings: { ram: { warning: 0.85, warning_free: 0 }, gate: { enabled: true, wait: 30, on_timeout: "run", retries: 3 } },
  schema: {
    $defs: {
      Tiers: {
        properties: {
          warning: { default: 0.85, minimum: 0.01, maximum: 1, type: "number" },
          warning_free: { default: 0, minimum: 0, maximum: 2 ** 50, type: "integer" },
        },
      },
      Gate: {
        properties: {
          enabled: { default: true, type: "boolean" },
          wait: { default: 30, minimum: 0, maximum: 3600, type: "number" },
          on_timeout: { default: "run", enum: ["run", "hold"], type: "string" },
          retries: { default: 3, minimum: 0, maximum: 20, type: "integer" },
        },
      },
    },
    properties: { ram: { $ref: "#/$defs/Tiers", default: { warning: 0.8 } }, gate: { allOf: [{ $ref: "#/$defs/Gate" }] } },
  },
  problems: ["gate.wait: too long"],
};

const field = (path: string): Field => readForm(ANSWER).fields.find((one) => one.path === path) as Field;

describe("the form", () => {
  it("has a field for each setting, of the kind that its range tells", () => {
    const form = readForm(ANSWER);
    expect(form.fields.map(({ path, kind }) => [path, kind])).toEqual([
      ["ram.warning", "share"],
      ["ram.warning_free", "bytes"],
      ["gate.enabled", "flag"],
      ["gate.wait", "number"],
      ["gate.on_timeout", "choice"],
      ["gate.retries", "number"],
    ]);
    expect(form.problems).toEqual(["gate.wait: too long"]);
  });

  it("knows range and default, those of the section before those of the kind", () => {
    expect(field("gate.wait")).toMatchObject({ min: 0, max: 3600, fallback: 30 });
    expect(field("ram.warning").fallback).toBe(0.8);
  });

  it("shows shares as percents and bytes as gigabytes, and reads them back", () => {
    expect([shown(field("ram.warning")), typed(field("ram.warning"), "82,5")]).toEqual(["85", 0.825]);
    expect(typed(field("ram.warning_free"), "1.5")).toBe(1.5 * 1024 ** 3);
    expect(typed(field("gate.retries"), "4.4")).toBe(4);
  });

  it("sends what is no number as it is: the server refuses it in its own words", () => {
    expect(typed(field("gate.wait"), "soon")).toBe("soon");
    expect(typed(field("gate.wait"), "")).toBe("");
  });

  it("is sent by section", () => {
    expect(nested([["ram.warning", 0.8], ["ram.leave", 0], ["gate.wait", 1]])).toEqual({ ram: { warning: 0.8, leave: 0 }, gate: { wait: 1 } });
  });

  it.each([null, 7, {}, { settings: { ram: 7 } }])("reads %j as no fields", (value) => {
    expect(readForm(value).fields).toEqual([]);
  });
});
