import { createLogger } from "../platform/logger.ts";
import { migrate } from "../platform/migrations.ts";
import { databaseUrl } from "./database-url.ts";
import { migrationsFolder } from "./platform.ts";

/** `npm run migrate`: applies what is missing and says what it applied. The api and the worker do the same when they start. */
const applied = await migrate({ url: databaseUrl(), folder: migrationsFolder, log: createLogger({ level: "silent", name: "migrate" }) });
console.log(applied.length > 0 ? applied.map((name) => `applied ${name}`).join("\n") : "nothing to apply");
