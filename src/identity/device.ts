import type { Request } from "express";
import type { Device } from "./sessions.ts";
import type { Locale } from "./users.ts";

/** Where a request comes from, for the list of sessions. */
export function deviceOf(req: Request): Device {
  return { ip: req.ip ?? "", userAgent: req.get("user-agent") };
}

/** The language of mails to somebody who has no account yet. */
export function localeOf(req: Request): Locale {
  return req.acceptsLanguages(["en", "zh"]) === "zh" ? "zh-CN" : "en";
}
