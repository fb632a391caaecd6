import { createHmac } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";

export const SECRET = "a secret of the guardrail";

/** The operator's service: refuses what mentions a troll, and can be told to hang or to fail. */
export interface Service {
  url: string;
  asked: { stage: string; content: unknown; model: string; user_id: string }[];
  forged: number;
  mood: "well" | "hang" | "fail";
  /** Refuses every answer, whatever it says. */
  severe: boolean;
  close(): Promise<void>;
}

/** Starts it. */
export async function startService(): Promise<Service> {
  const service: Service = { url: "", asked: [], forged: 0, mood: "well", severe: false, close: async () => undefined };
  const server = http.createServer((req, res) => {
    let body = "";
    req.on("data", (chunk: Buffer) => (body += chunk.toString()));
    req.on("end", () => {
      const signature = createHmac("sha256", SECRET)
        .update(`${String(req.headers["x-timestamp"])}.${body}`)
        .digest("hex");
      if (req.headers["x-signature"] !== `sha256=${signature}`) service.forged += 1;
      const asked = JSON.parse(body) as Service["asked"][number];
      service.asked.push(asked);
      if (service.mood === "hang") return;
      if (service.mood === "fail") return void res.writeHead(500).end();
      const allow = !/troll/i.test(body) && !(service.severe && asked.stage === "answer");
      res.writeHead(200, { "content-type": "application/json" });
      res.end(JSON.stringify(allow ? { allow } : { allow, category: "trolls", message: "No trolls on this bridge" }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  service.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/check`;
  service.close = () => new Promise((resolve) => (server.closeAllConnections(), server.close(() => resolve())));
  return service;
}
