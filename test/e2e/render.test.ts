import { expect } from "chai";
import { findProgram } from "../../src/render/process/index.ts";
import { customer, operator, proveLedger, settledBalance, type Person } from "../support/people.ts";
import { product, type Product, waitFor } from "../support/stack.ts";

interface Task {
  id: string;
  status: string;
  cost: string;
  held: string;
  estimated_cost: string;
  total_frames: number;
}

describe("a render task through the whole product", function () {
  this.timeout(90_000);
  let where: Product;
  let admin: Person;
  let ada: Person;

  before(async () => {
    where = await product();
    admin = await operator(where);
    ada = await customer(where, admin, { credits: "10" });
  });

  const body = { name: "A kettle", engine: "simulate", frame_start: 1, frame_end: 5, width: 320, height: 180 };

  it("is estimated, held, rendered, downloaded and charged exactly", async () => {
    const estimate = await ada.post<{ estimated_cost: string }>("/api/tasks/estimate", body);
    const task = await ada.post<Task>("/api/tasks", body, { "idempotency-key": "kettle" });
    expect(task).to.include({ estimated_cost: estimate.estimated_cost, held: estimate.estimated_cost, total_frames: 5 });
    const done = await waitFor(
      async () => {
        const seen = await ada.get<Task>(`/api/tasks/${task.id}`);
        return seen.status === "completed" && seen;
      },
      { timeoutMs: 60_000, message: "the task to be completed" },
    );
    expect((await settledBalance(ada)).total).to.equal((10 - Number((done as Task).cost)).toString());
    const frames = await ada.get<{ items: { frame: number; file_id: string }[] }>(`/api/tasks/${task.id}/frames`);
    expect(frames.items.map(({ frame }) => frame)).to.deep.equal([1, 2, 3, 4, 5]);
    const { url } = await ada.get<{ url: string }>(`/api/files/${frames.items[4]!.file_id}/download`);
    const picture = Buffer.from(await (await fetch(url)).arrayBuffer());
    expect(picture.subarray(1, 4).toString()).to.equal("PNG");
    await proveLedger(admin);
  });

  it("becomes a film that can be downloaded, where ffmpeg is installed", async () => {
    const task = await ada.post<Task>("/api/tasks", { ...body, settings: { video: { fps: 12 } } });
    const said = await waitFor(
      async () => {
        const { items } = await ada.get<{ items: { message: string }[] }>(`/api/tasks/${task.id}/logs?page_size=100`);
        return items.map(({ message }) => message).find((message) => /^the film (is ready|could not)/.test(message));
      },
      { timeoutMs: 60_000, message: "the film, or why there is none" },
    );
    const { items } = await ada.get<{ items: { id: string; name: string }[] }>(`/api/files?task_id=${task.id}&kind=video`);
    if (!(await findProgram("ffmpeg"))) {
      expect([said, items]).to.deep.equal(["the film could not be made: ffmpeg is not installed", []]);
      return;
    }
    expect([said, items.map(({ name }) => name)]).to.deep.equal([`the film is ready: file ${items[0]!.id}`, ["video.mp4"]]);
    const { url } = await ada.get<{ url: string }>(`/api/files/${items[0]!.id}/download`);
    const film = Buffer.from(await (await fetch(url)).arrayBuffer());
    expect(film.subarray(4, 8).toString()).to.equal("ftyp");
  });

  it("is refused with 402 when the wallet does not cover the estimate", async () => {
    const answer = await ada.call("POST", "/api/tasks", { ...body, frame_end: 900, settings: { seconds_per_frame: 60 } });
    expect([answer.status, answer.body.error?.code]).to.deep.equal([402, "insufficient_balance"]);
    expect((await settledBalance(ada)).held).to.equal("0");
  });
});
