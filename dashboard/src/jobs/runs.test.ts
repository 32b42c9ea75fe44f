import { expect, it } from "vitest";
import type { EventItem } from "../server/shapes";
import { commandOf, taskOf } from "./runs";

const event = (payload: unknown, context = {}) => ({ payload, context }) as EventItem;

it("writes a command as one would type it", () => {
  expect(commandOf(event({ command: ["python", "fit.py", "it's 7"] }))).toBe(
    "python fit.py 'it'\\''s 7'",
  );
  expect(commandOf(event({}))).toBe("");
});

it("knows the task of an array on each batch system", () => {
  expect(taskOf(event({}, { slurm: { job_id: "9", array_task_id: "217" } }))).toBe("217");
  expect(taskOf(event({}, { pbs: { array_index: "3" } }))).toBe("3");
  expect(taskOf(event({}, { lsf: { index: "0" } }))).toBe("");
  expect(taskOf(event({}, { slurm: { job_id: "9" } }))).toBe("");
});
