import { expect } from "chai";
import { customer, operator, pricedModel, proveLedger, settledBalance, type Balance } from "../support/people.ts";
import { product, waitFor } from "../support/stack.ts";

interface Outcome {
  status: number;
  code: string | undefined;
  text: string;
}

async function stream(api: string, key: string, model: string): Promise<Outcome> {
  const response = await fetch(`${api}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model,
      stream: true,
      max_tokens: 100,
      messages: [{ role: "user", content: "Count [[usage:0,100]] [[chunks:20]] [[pace:20ms]]" }],
    }),
  });
  const text = await response.text();
  const code = response.status === 200 ? undefined : (JSON.parse(text) as { error: { code: string } }).error.code;
  return { status: response.status, code, text };
}

describe("a wallet under load", () => {
  it("500 streams at once on a wallet that pays for 125 never take it below zero", async () => {
    const at = await product();
    const admin = await operator(at);
    // Only output is priced: each call holds and costs exactly 100 × 100 / 1000 = 10 credits.
    const model = await pricedModel(admin, at.upstream, { input: "0", output: "100" });
    const ada = await customer(at, admin, { credits: "1250" });

    let lowest = 1250;
    const watching = new AbortController();
    const watch = (async () => {
      while (!watching.signal.aborted) {
        const balance = await ada.get<Balance>("/api/user/balance");
        lowest = Math.min(lowest, Number(balance.available));
      }
    })();
    const outcomes = await Promise.all(Array.from({ length: 500 }, () => stream(at.api, ada.key, model)));
    watching.abort();
    await watch;

    const served = outcomes.filter((outcome) => outcome.status === 200);
    const refused = outcomes.filter((outcome) => outcome.status !== 200);
    expect(served).to.have.length(125);
    expect(served.every((outcome) => outcome.text.trimEnd().endsWith("data: [DONE]"))).to.equal(true);
    for (const outcome of refused) expect([402, 429], outcome.text).to.include(outcome.status);
    for (const outcome of refused) expect(["insufficient_balance", "balance_on_hold"]).to.include(outcome.code);
    expect(lowest).to.be.at.least(0);

    const after = await settledBalance(ada);
    expect(after).to.include({ total: "0", available: "0", held: "0" });
    await waitFor(async () => (await stream(at.api, ada.key, model)).status === 402, {
      timeoutMs: 10_000,
      message: "402 on an empty wallet",
    });
    await proveLedger(admin);
  });
});
