import { z } from "zod";

/** Text for people: trimmed, no control characters. */
export const line = (max: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, "must not contain control characters");

/** Why an operator decided so. */
export const reason = line(500);
