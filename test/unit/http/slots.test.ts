import { expect } from "chai";
import { createSlots } from "../../../src/http/slots.ts";

describe("places for long work", () => {
  it("are few for each person and few at all, and free again however the work ends", async () => {
    const slots = createSlots("reports", { perUser: 2, total: 3 });
    const first = slots.take("ada");
    slots.take("ada");
    expect(() => slots.take("ada")).to.throw("2 reports of yours are running");
    slots.take("bob");
    expect(() => slots.take("eve")).to.throw("Many reports are running");
    first();
    const failed = await slots.within("eve", () => Promise.reject(new Error("it failed"))).catch((error: Error) => error.message);
    expect(failed).to.equal("it failed");
    expect(await slots.within("eve", async () => "done")).to.equal("done");
  });
});
