import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { PACE, Pace, RAISED_PACE } from "../src/pace";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("draws in the next frame at first, then at its pace, and at once what is urgent", async () => {
  const draw = vi.fn();
  const pace = new Pace(draw);
  pace.soon();
  await vi.advanceTimersByTimeAsync(1000);
  expect(draw, "nobody looks").not.toHaveBeenCalled();
  pace.allow(true);
  await vi.advanceTimersByTimeAsync(20);
  expect(draw).toHaveBeenCalledTimes(1);
  for (let i = 0; i < 8; i++) pace.soon();
  await vi.advanceTimersByTimeAsync(PACE / 2);
  expect(draw).toHaveBeenCalledTimes(1);
  pace.soon(true);
  await vi.advanceTimersByTimeAsync(20);
  expect(draw).toHaveBeenCalledTimes(2);
  pace.soon();
  pace.allow(false);
  await vi.advanceTimersByTimeAsync(1000);
  expect(draw).toHaveBeenCalledTimes(2);
});

it("draws more often while a level is raised", async () => {
  const draw = vi.fn();
  let raised = false;
  const pace = new Pace(draw, () => raised);
  pace.allow(true);
  await vi.advanceTimersByTimeAsync(20);
  pace.soon();
  await vi.advanceTimersByTimeAsync(RAISED_PACE + 50);
  expect(draw).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(PACE - RAISED_PACE);
  expect(draw).toHaveBeenCalledTimes(2);
  raised = true;
  pace.soon();
  await vi.advanceTimersByTimeAsync(RAISED_PACE + 50);
  expect(draw).toHaveBeenCalledTimes(3);
});
