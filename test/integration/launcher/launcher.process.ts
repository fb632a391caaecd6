import { runInForeground } from "../../../src/main/launcher/foreground.ts";
import type { PartName } from "../../../src/main/launcher/part.ts";
import { testEnvironment } from "../../support/infra.ts";

/** A launcher of its own for tests of its life: `node launcher.process.js <data folder> <part,part> [usual]`. */
const [, , dataDir = "", parts = "", ports] = process.argv;
await runInForeground({
  dataDir,
  parts: parts.split(",") as PartName[],
  env: testEnvironment(),
  usualPorts: ports === "usual",
  durable: false,
});
