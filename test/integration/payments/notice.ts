import { createHash } from "node:crypto";
import { KEY, PID } from "./rig.ts";

/** A third signer, for tests: nothing of the product's or the sandbox's. */
export function noticeQuery(fields: Record<string, string>, key = KEY): string {
  const all: Record<string, string> = {
    pid: PID,
    type: "alipay",
    name: "Tollkeeper credits",
    money: "50.00",
    trade_status: "TRADE_SUCCESS",
    ...fields,
  };
  const text = Object.keys(all)
    .filter((name) => all[name] !== "")
    .sort()
    .map((name) => `${name}=${all[name]}`)
    .join("&");
  const sign = createHash("md5")
    .update(text + key)
    .digest("hex");
  return new URLSearchParams({ ...all, sign, sign_type: "MD5" }).toString();
}
