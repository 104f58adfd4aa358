import { expect, it, vi } from "vitest";
import { INTAKE, Intake, LIVE_PACE, PACE, Pace, type Clock } from "../src/pace";

/** A clock that goes on when it is told to. */
class Hand implements Clock {
  private time = 0;
  private readonly plans = new Set<{ act: () => void; due: number }>();

  now(): number {
    return this.time;
  }

  later(act: () => void, wait: number): () => void {
    const plan = { act, due: this.time + wait };
    this.plans.add(plan);
    return () => void this.plans.delete(plan);
  }

  get planned(): number {
    return this.plans.size;
  }

  on(milliseconds: number): void {
    const end = this.time + milliseconds;
    for (;;) {
      const [next] = [...this.plans].filter(({ due }) => due <= end).sort((a, b) => a.due - b.due);
      if (!next) break;
      this.plans.delete(next);
      this.time = next.due;
      next.act();
    }
    this.time = end;
  }
}

it("draws at once at first, then at its pace, and at once what is urgent", () => {
  const [draw, clock] = [vi.fn(), new Hand()];
  const pace = new Pace(draw, () => false, clock);
  pace.soon();
  clock.on(10_000);
  expect(draw, "nobody looks").not.toHaveBeenCalled();
  pace.allow(true);
  clock.on(0);
  expect(draw).toHaveBeenCalledTimes(1);
  for (let i = 0; i < 8; i++) pace.soon();
  clock.on(PACE - 1);
  expect(draw).toHaveBeenCalledTimes(1);
  pace.soon(true);
  pace.soon(true);
  pace.soon();
  clock.on(0);
  expect(draw).toHaveBeenCalledTimes(2);
});

it("draws ten readings a second every other second, and each second while they are followed", () => {
  const [draw, clock] = [vi.fn(), new Hand()];
  let live = false;
  const pace = new Pace(draw, () => live, clock);
  pace.allow(true);
  const second = (): void => {
    for (let i = 0; i < 10; i++) {
      pace.soon();
      clock.on(100);
    }
  };
  for (let i = 0; i < 20; i++) second();
  expect(draw.mock.calls.length).toBeLessThanOrEqual((20 * 1000) / PACE + 1);
  draw.mockClear();
  live = true;
  for (let i = 0; i < 20; i++) second();
  expect(draw.mock.calls.length).toBeGreaterThanOrEqual(19);
  expect(draw.mock.calls.length).toBeLessThanOrEqual((20 * 1000) / LIVE_PACE + 2);
});

it("plans nothing that nobody sees", () => {
  const [draw, clock] = [vi.fn(), new Hand()];
  const pace = new Pace(draw, () => true, clock);
  pace.allow(true);
  clock.on(0);
  pace.soon();
  pace.allow(false);
  pace.soon(true);
  expect(clock.planned).toBe(0);
  clock.on(10_000);
  expect(draw).toHaveBeenCalledTimes(1);
});

it("takes in the first reading at once, of many the newest", () => {
  const [take, clock] = [vi.fn(), new Hand()];
  const intake = new Intake<number>(take, clock);
  intake.offer(1);
  expect(take.mock.calls).toEqual([[1]]);
  intake.offer(2);
  intake.offer(3);
  clock.on(INTAKE - 1);
  expect(take).toHaveBeenCalledTimes(1);
  clock.on(1);
  expect(take.mock.calls).toEqual([[1], [3]]);
  clock.on(INTAKE);
  expect([take.mock.calls.length, clock.planned], "no timer without a reading").toEqual([2, 0]);
  intake.offer(4);
  expect(take).toHaveBeenLastCalledWith(4);
});

it("takes in what waits before what came after it", () => {
  const [take, clock] = [vi.fn(), new Hand()];
  const intake = new Intake<number>(take, clock);
  intake.offer(1);
  intake.offer(2);
  intake.flush();
  intake.flush();
  clock.on(INTAKE);
  expect(take.mock.calls).toEqual([[1], [2]]);
});
