import { expect } from "chai";
import { sendThenRead, type Framing } from "../../support/sendThenRead.ts";
import { useStack } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";

describe("a request that is refused while it is still being sent", () => {
  const places = useStack();
  let relay: Relay;
  let ada: Customer;

  before(async () => {
    relay = await startRelay(places, { RELAY_BODY_LIMIT_MB: "1" });
    ada = await relay.customer();
  });
  after(() => relay?.close());

  const send = (key: string, framing: Framing): Promise<string> => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    return sendThenRead(relay.url, { path: "/v1/chat/completions", headers, framing });
  };

  for (const framing of ["length", "chunked"] as const) {
    it(`is told that it is too large when it has been sent (${framing})`, async () => {
      const said = await send(ada.key, framing);
      expect(said).to.match(/^HTTP\/1\.1 413 /);
      expect(said)
        .to.contain('"code":"payload_too_large"')
        .and.match(/connection: close/i);
    });

    it(`is told that its key is not valid when it has been sent (${framing})`, async () => {
      const said = await send("sk-tk-no", framing);
      expect(said).to.match(/^HTTP\/1\.1 401 /);
      expect(said).to.contain('"code":"invalid_api_key"');
    });
  }
});
