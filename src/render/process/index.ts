export { findProgram } from "./find.ts";
export { limitReason, type ProgramLimits } from "./limits.ts";
export type { Ending } from "./run.ts";
export { createSandbox, NotIsolated, type Inside, type Sandbox } from "./sandbox.ts";
export { NotTaken, takeFile, takeText } from "./take.ts";
