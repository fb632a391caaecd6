import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { uuidv7 } from "../../../../src/platform/ids.ts";
import { difyMessageKey } from "../../../../src/usage/index.ts";
import type { Rig } from "./rig.ts";

/** Charges messages as the webhook does, before their streams end: of calls that ask for `[[webhook:early]]`. */
export async function claimEarly(rig: Rig): Promise<{ messages: string[]; users: string[]; close(): void }> {
  const messages: string[] = [];
  const users: string[] = [];
  const hook = createServer((req, res) => {
    let body = "";
    req.on("data", (data: Buffer) => (body += data.toString()));
    req.on("end", () => {
      const { data } = JSON.parse(body) as { data: { message_id: string; user_id: string } };
      const values = [difyMessageKey(data.message_id), uuidv7(), new Date()];
      void rig.relay.pool
        .query("SELECT usage_claim_messages(ARRAY[$1::uuid], ARRAY[$2::uuid], ARRAY[$3::timestamptz])", values)
        .then(() => messages.push(data.message_id) && users.push(data.user_id))
        .finally(() => res.end("{}"));
    });
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => hook.once("listening", resolve));
  await fetch(`${rig.dify.url}/webhooks`, {
    method: "POST",
    headers: { authorization: "Bearer x", "content-type": "application/json" },
    body: JSON.stringify({ url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`, api_key: "k", secret: "s" }),
  });
  return {
    messages,
    users,
    close() {
      hook.closeAllConnections();
      hook.close();
    },
  };
}
