import http from "node:http";
import { openStream } from "./client.ts";

/** Listeners in a process of their own, which count what they are told: `clients.process.js URL COUNT`. */

const [, , url = "", count = "0"] = process.argv;
const MARK = '{"v":1,';
const seen: number[] = [];
let byes = 0;

function countIn(text: string, mark: string): number {
  let found = 0;
  for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + mark.length)) found += 1;
  return found;
}

const agent = new http.Agent({ maxSockets: Infinity });
for (let i = 0; i < Number(count); i++) {
  let rest = "";
  seen[i] = 0;
  await openStream(url, {
    token: `operator-${i % 50}`,
    agent,
    onText(text) {
      const whole = rest + text;
      const end = whole.lastIndexOf("\n") + 1;
      rest = whole.slice(end);
      seen[i]! += countIn(whole.slice(0, end), MARK);
      byes += countIn(whole.slice(0, end), "event: bye");
    },
  });
}
process.on("message", () => process.send!({ least: Math.min(...seen), most: Math.max(...seen), byes }));
process.send!("ready");
