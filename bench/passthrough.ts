import http from "node:http";
import express from "express";
import { Agent } from "undici";

/**
 * What the relay is compared with: Express and undici passing bytes on, with no authentication, limits, holds, metering or usage.
 * Same libraries, same dispatch interface, so that the difference is what Tollkeeper adds.
 */
export function passThrough(upstream: string): http.Server {
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  const app = express();
  app.disable("x-powered-by");
  app.set("etag", false);
  app.use(express.json({ limit: "32mb" }));
  app.post("/v1/chat/completions", (req, res) => {
    const body = JSON.stringify(req.body);
    agent.dispatch(
      {
        origin: upstream,
        path: req.url,
        method: "POST",
        headers: [
          "content-type",
          "application/json",
          "content-length",
          String(Buffer.byteLength(body)),
          "authorization",
          "Bearer upstream-key",
        ],
        body,
      },
      {
        onRequestStart() {},
        onResponseStart(_controller, status, headers) {
          res.writeHead(status, { "content-type": headers["content-type"] });
        },
        onResponseData(controller, chunk) {
          if (res.write(chunk)) return;
          controller.pause();
          res.once("drain", () => controller.resume());
        },
        onResponseEnd() {
          res.end();
        },
        onResponseError(_controller, error) {
          res.destroy(error);
        },
      },
    );
  });
  return http.createServer(app);
}
