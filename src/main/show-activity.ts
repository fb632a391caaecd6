import path from "node:path";
import { readDay } from "../activity/index.ts";
import { loadEnv } from "./load-env.ts";

/** `npm run activity -- USER [DAY]`: a user's lines of one day (UTC; today unless told) from the files of all processes. `-`: of nobody. */
loadEnv();
const [user, day = new Date().toISOString().slice(0, 10)] = process.argv.slice(2);
if (user === undefined || !/^\d{4}-\d{2}-\d{2}$/.test(day)) {
  process.stderr.write("npm run activity -- USER-ID [YYYY-MM-DD]\n");
  process.exit(2);
}
const data = process.env["TOLLKEEPER_DATA"];
const dir = process.env["ACTIVITY_DIR"] || (data ? path.join(data, "activity") : ".data/activity");
for (const event of await readDay(path.resolve(dir), user === "-" ? null : user, day)) process.stdout.write(`${JSON.stringify(event)}\n`);
