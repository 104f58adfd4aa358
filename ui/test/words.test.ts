import { describe, expect, it } from "vitest";
import chinese from "../../locales/zh/main.json";
import english from "../../locales/en/main.json";
import { readAction } from "../src/action";
import { readFleet, type Machine } from "../src/fleet";
import { Formats } from "../src/format";
import { Texts } from "../src/i18n";
import { empty, type State } from "../src/state";
import { readStatus, type Status } from "../src/status";
import { actionWords, deferredWhy, errorWhy, gateWhy, heldWhy, machineWhy, problemWhy, refusalWhy, stepName } from "../src/views/words";
import { rawStatus } from "./status";

const GB = 1024 ** 3;
const translations = { en: english, zh: chinese };
const texts = (locale: string): Texts => new Texts(locale, translations);
const plain = (text: string): string => text.replaceAll("\u00a0", " ");

function waiting(cause: object | null, reason = "RAM 87% of 32.0 GB; it starts below 80%"): Status {
  return readStatus(rawStatus(1, { gate: { state: "waiting", reason, cause, since: 1, until: null } })) as Status;
}
const why = (locale: string, cause: object | null): string => plain(gateWhy(waiting(cause), texts(locale), new Formats(locale)));

describe("why the gate waits", () => {
  const starts = { code: "starts", fraction: 0.87, limit: 32 * GB, below: 0.8 };

  it("is told in the user's language, from its parts", () => {
    expect(why("en", starts)).toBe("RAM is at 87% of 32.0 GB; it starts below 80%.");
    expect(why("zh", starts)).toBe("内存已用 32.0 GB 的 87%，低于 80% 时开始。");
    expect(why("zh", { code: "needs", fraction: 0.5, limit: 32 * GB, need: 20 * GB })).toBe("内存已用 32.0 GB 的 50%，此任务约需 20.0 GB。");
    expect(why("en", { code: "retry", n: 1, total: 3 })).toBe("It is tried again, 1 of 3.");
  });

  it("is told in the server's words where it has no parts, or ones of a newer server", () => {
    for (const cause of [null, {}, { code: "moon" }]) expect(why("zh", cause)).toBe("RAM 87% of 32.0 GB; it starts below 80%");
  });
});

describe("what was done", () => {
  const raw = {
    time: 1,
    level: "warning",
    resource: "ram",
    cause: { code: "level", fraction: 0.91, limit: 32 * GB },
    rungs: [
      { name: "outputs of earlier prompts", freed: 2 * GB, seconds: 0.2, detail: "dropped outputs of earlier prompts (3 VAEDecode)" },
      { name: "heap trim", freed: 0, seconds: 0.3, detail: "trimmed the heap" },
    ],
    freed: 2 * GB,
    text: "RAM 91% of 32.0 GB (warning): dropped; 2.0 GB freed in 500 ms",
  };
  const state: State = { ...empty(), status: readStatus(rawStatus(1)) };
  const words = (locale: string, change: object = {}): string =>
    plain(actionWords(readAction({ ...raw, ...change }), { state, texts: texts(locale), formats: new Formats(locale) }));

  it("is told in the user's language, naming the steps that gave something", () => {
    expect(words("zh")).toBe("内存已用 32.0 GB 的 91%（注意）：先前任务的输出；0.5秒 内释放 2.0 GB");
    expect(words("zh", { dry_run: true })).toBe("内存已用 32.0 GB 的 91%（注意）：本会尝试：先前任务的输出");
  });

  it("stays in the server's words in English, and where they alone tell why", () => {
    expect([words("en"), words("zh", { cause: null }), words("zh", { rungs: [] })]).toEqual([raw.text, raw.text, raw.text]);
  });

  it("a step that is not known keeps its name", () => {
    expect(stepName({ name: "melt_snow", freed: 0, seconds: 0, detail: "" }, texts("zh"))).toBe("melt snow");
  });
});

describe("why a job is not queued again", () => {
  const secret = { id: "a", why: "it held a key or password (1.api_key), which the journal does not keep", cause: { code: "secret", what: "1.api_key" } };

  it("is told in the user's language, from its parts", () => {
    expect(refusalWhy(secret, texts("zh"))).toBe("其中含有密钥或密码（1.api_key），日志库不会保存；请重新排队");
    expect(refusalWhy({ why: "x", cause: { code: "state", state: "done" } }, texts("zh"))).toBe("它没有失败，状态为：完成");
    expect(refusalWhy({ why: "x", cause: { code: "state", state: "odd" } }, texts("en"))).toBe("it has not failed, its state is: odd");
  });

  it("stays in the words of ComfyUI, and of a server that tells no parts", () => {
    expect(refusalWhy({ id: "a", reason: "node Gone is not installed" }, texts("zh"))).toBe("node Gone is not installed");
    expect(refusalWhy({ id: "a", why: "odd", cause: { code: "moon" } }, texts("zh"))).toBe("odd");
  });
});

describe("what is amiss, and what freeing waits for", () => {
  const stuck = { code: "stuck", node: "7 KSampler", still: 1500, longest: 120 };

  it("is told in the user's language, from its parts", () => {
    expect(plain(problemWhy(stuck, texts("en"), new Formats("en")) ?? "")).toBe(
      "A prompt seems stuck: node 7 KSampler has shown no progress for 25 min. " +
        "No node of this workflow ever took longer than 2 min. Interrupt it, or restart the server.",
    );
    expect(problemWhy(stuck, texts("zh"), new Formats("zh"))).toContain("节点 7 KSampler 已有");
    expect(deferredWhy({ code: "node" }, texts("zh"))).toBe("有节点正在运行，结束后再处理模型和缓存的输出");
  });

  it("is left to the server's words where it tells no parts", () => {
    for (const cause of [undefined, {}, { code: "moon" }]) expect(problemWhy(cause, texts("zh"), new Formats("zh"))).toBeUndefined();
    expect(deferredWhy({}, texts("zh"))).toBeUndefined();
  });
});

it("why a job did not end well is told in the user's language where the journal says it, else in the words of who said it", () => {
  expect(errorWhy("the process died while it ran: killed by signal 9", texts("zh"))).toBe("运行它时进程崩溃: killed by signal 9");
  expect(errorWhy("interrupted by the user", texts("zh"))).toBe("已由用户中断");
  for (const said of ["", "shapes do not match: 4, 5", "toString"]) expect(errorWhy(said, texts("zh"))).toBe(said);
});

it("what holds a card back is told in the user's language, and what is not known in the driver's", () => {
  expect(heldWhy("hot (hardware), power cap", texts("zh"), new Formats("zh"))).toBe("过热（硬件）和功耗上限");
  expect(heldWhy("power cap, moon", texts("en"), new Formats("en"))).toBe("power cap and moon");
});

describe("why a machine takes no job", () => {
  const machine = (cause: object | null): Machine => readFleet({ machines: [{ name: "a", state: "ill", reason: "it is paused", cause }] }).machines[0] as Machine;

  it("is told in the user's language, from its parts", () => {
    expect(machineWhy(machine({ code: "paused" }), texts("zh"), new Formats("zh"))).toBe("它已暂停");
    expect(machineWhy(machine({ code: "version", theirs: "0.2", ours: "0.1" }), texts("en"), new Formats("en"))).toBe(
      "It runs Resource Gate 0.2, this is 0.1: install the same version there",
    );
    const told = (cause: object): string => plain(machineWhy(machine(cause), texts("zh"), new Formats("zh")));
    expect(told({ code: "silent", seconds: 30 })).toBe("已有 30秒 没有它的消息");
    expect(told({ code: "http", status: "500" })).toBe("它返回了错误（HTTP 500）");
    expect(told({ code: "away" })).toBe("它的服务器没有及时恢复");
  });

  it("stays in the server's words where it tells no parts", () => {
    for (const cause of [null, { code: "moon" }]) expect(machineWhy(machine(cause), texts("zh"), new Formats("zh"))).toBe("it is paused");
  });
});
