import { readFileSync } from "node:fs";
import path from "node:path";
import { dataFolder } from "./data-folder.ts";
import { loadEnv } from "./load-env.ts";

/** The database a command works on: DATABASE_URL, else the one of the product that runs here (`npm start`). Ends the process without either. */
export function databaseUrl(): string {
  loadEnv();
  const given = process.env["DATABASE_URL"];
  if (given) return given;
  try {
    const endpoints = JSON.parse(readFileSync(path.join(dataFolder(), "endpoints.json"), "utf8")) as { database_url?: string };
    if (endpoints.database_url) return endpoints.database_url;
  } catch {
    // Nothing runs here.
  }
  console.error("DATABASE_URL: is required, because nothing is running here (npm start)");
  return process.exit(2);
}
