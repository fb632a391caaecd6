import http from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { expect } from "chai";
import { errorHandler } from "../../../src/http/errorHandler.ts";
import { sendStream } from "../../../src/http/stream.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { waitFor } from "../../support/waitFor.ts";

describe("a streamed answer", () => {
  let source: () => AsyncIterable<string>;
  let server: http.Server;
  let url: string;

  before(async () => {
    const app = express();
    app.get("/", (req, res) => sendStream(req, res, { status: 200, headers: { "content-type": "text/csv" }, stream: source() }));
    app.use(errorHandler(createLogger({ level: "silent", name: "test" })));
    server = http.createServer(app);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  it("has its pieces in order and ends its source", async () => {
    let ended = false;
    source = async function* () {
      try {
        yield* ["a", "b", "c"];
      } finally {
        ended = true;
      }
    };
    expect(await (await fetch(url)).text()).to.equal("abc");
    expect(ended).to.equal(true);
  });

  it("is an error with a status when nothing was sent yet", async () => {
    source = async function* () {
      yield* await Promise.reject<string[]>(new Error("no database"));
    };
    const answer = await fetch(url);
    expect(answer.status).to.equal(500);
    expect(((await answer.json()) as { success: boolean }).success).to.equal(false);
  });

  it("breaks off when its source fails half-way, so that no part looks like the whole", async () => {
    source = async function* () {
      yield "half";
      throw new Error("the database went away");
    };
    const broken = await fetch(url)
      .then(
        (answer) => answer.text().then(() => "whole"),
        () => "broken",
      )
      .catch(() => "broken");
    expect(broken).to.equal("broken");
  });

  it("has no body for HEAD, and ends its source", async () => {
    let ended = 0;
    source = async function* () {
      try {
        for (;;) yield "x".repeat(1_000);
      } finally {
        ended += 1;
      }
    };
    const answer = await fetch(url, { method: "HEAD" });
    expect([answer.status, await answer.text()]).to.deep.equal([200, ""]);
    expect(ended).to.equal(1);
  });

  it("is made no faster than it is read, and ends when its reader leaves", async () => {
    let made = 0;
    let ended = false;
    source = async function* () {
      try {
        for (;;) {
          made += 1;
          yield "x".repeat(10_000);
        }
      } finally {
        ended = true;
      }
    };
    const reader = http.get(url);
    const answer = await new Promise<http.IncomingMessage>((resolve) => reader.on("response", resolve));
    answer.pause();
    let before = -1;
    await waitFor(
      () => {
        const still = made === before;
        before = made;
        return still;
      },
      { everyMs: 100 },
    );
    expect(made, "pieces of 10 kB").to.be.below(2_000);
    expect(ended).to.equal(false);
    reader.destroy();
    await waitFor(() => ended);
  });
});
