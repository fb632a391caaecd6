import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { expect } from "chai";
import sharp from "sharp";
import { findProgram } from "../../src/render/process/index.ts";
import { connect, type Client } from "../integration/live/client.ts";
import { hasBlender, makeScene } from "../support/blender.ts";
import { customer, operator, proveLedger, settledBalance, type Person } from "../support/people.ts";
import { product, type Product, waitFor } from "../support/stack.ts";

const run = promisify(execFile);

interface Task {
  id: string;
  status: string;
  cost: string;
  held: string;
  done_frames: number;
  workflow_url: string;
}
interface Page<T> {
  items: T[];
}
interface Frame {
  frame: number;
  status: string;
  cost: string;
  attempts: number;
  seconds: number;
  file_id: string;
}

describe("a scene of Blender through the whole product", function () {
  this.timeout(300_000);
  let where: Product;
  let admin: Person;
  let ada: Person;

  before(async () => {
    where = await product();
    admin = await operator(where);
    ada = await customer(where, admin, { credits: "10" });
  });

  async function upload(bytes: Buffer): Promise<string> {
    const declared = { name: "würfel.blend", size: bytes.length, content_type: "application/x-blender", kind: "scene" };
    const {
      file_id: id,
      upload_url: url,
      headers,
    } = await ada.post<{ file_id: string; upload_url: string; headers: Record<string, string> }>("/api/files/uploads", declared);
    expect((await fetch(url, { method: "PUT", body: bytes, headers })).status).to.equal(200);
    await ada.post(`/api/files/${id}/complete`);
    return id;
  }

  async function download(id: string): Promise<Buffer> {
    const { url } = await ada.get<{ url: string }>(`/api/files/${id}/download`);
    return Buffer.from(await (await fetch(url)).arrayBuffer());
  }

  /** Asks until the look at the scene is over, which may take longer than a request, and longer than Temporal is waited for. */
  async function create(body: object) {
    for (;;) {
      const answer = await ada.call<Task>("POST", "/api/tasks", body);
      if (!/still being looked at|not reachable/.test(answer.body.message)) return answer;
    }
  }

  const body = (scene: string) => ({
    name: "A cube",
    engine: "blender",
    scene_file_id: scene,
    frame_start: 1,
    frame_end: 10,
    width: 64,
    height: 36,
    samples: 4,
    settings: { video: { fps: 5 } },
  });

  async function watch(): Promise<Client> {
    const { ticket } = await ada.post<{ ticket: string }>("/api/live/tickets");
    return connect(`${where.api}/ws?ticket=${ticket}`);
  }

  it("is watched, paused and resumed; its pictures and its film are downloaded, and it costs what its frames do", async () => {
    if (!(await hasBlender())) {
      // A machine without it refuses such tasks, and says why.
      const answer = await create(body(await upload(Buffer.from("BLENDER-v304REND"))));
      expect(answer.status).to.equal(503);
      expect(answer.body.message).to.match(/^No render node has (blender|this engine) now: /);
      expect((await settledBalance(ada)).held).to.equal("0");
      return;
    }
    const client = await watch();
    const made = await create(body(await upload(await makeScene())));
    expect(made.status, made.body.message).to.equal(201);
    const { id } = made.body.data;
    const read = () => ada.get<Task>(`/api/tasks/${id}`);
    const until = (wanted: (task: Task) => boolean, message: string) =>
      waitFor(async () => wanted(await read()), { timeoutMs: 120_000, everyMs: 250, message });

    await until(({ done_frames }) => done_frames >= 2, "two frames");
    expect((await ada.post<Task>(`/api/tasks/${id}/pause`)).status).to.equal("paused");
    const underWay = async () => (await ada.get<Page<Frame>>(`/api/tasks/${id}/frames?status=rendering`)).items.length;
    await waitFor(async () => (await underWay()) === 0, { timeoutMs: 60_000, message: "frames under way to be finished" });
    expect((await read()).status).to.equal("paused");
    expect((await ada.post<Task>(`/api/tasks/${id}/resume`)).status).to.be.oneOf(["queued", "preparing", "rendering"]);
    await until(({ status }) => status === "completed", "the task to be completed");

    const done = await read();
    const { items: frames } = await ada.get<Page<Frame>>(`/api/tasks/${id}/frames`);
    expect(frames.map(({ frame, status, attempts }) => `${frame} ${status} ${attempts}`)).to.deep.equal(
      Array.from({ length: 10 }, (_, i) => `${i + 1} completed 1`),
    );
    for (const { file_id } of frames) {
      expect(await sharp(await download(file_id)).metadata()).to.include({ format: "png", width: 64, height: 36 });
    }
    const micro = (credits: string) => Math.round(Number(credits) * 1e6);
    // 0.05 a frame, 0.0005 a million samples, 0.02 a second.
    const costs = frames.map(({ seconds }) => Math.ceil(50_000 + (500 * 64 * 36 * 4) / 1e6 + 20 * Math.round(seconds * 1_000)));
    expect(frames.map(({ cost }) => micro(cost))).to.deep.equal(costs);
    expect(micro(done.cost)).to.equal(costs.reduce((sum, cost) => sum + cost, 0));
    expect(done.held).to.equal("0");
    expect(micro((await settledBalance(ada)).total)).to.equal(10_000_000 - micro(done.cost));
    expect(await ada.get(`/api/tasks/${id}/bill`)).to.include({ cost: done.cost, frames: 10 });
    expect(done.workflow_url).to.include(`render-${id}`);

    const said = client.events.filter(({ data }) => data["task_id"] === id);
    expect(said.filter(({ type }) => type === "task.status").map(({ data }) => data["status"])).to.include.members([
      "queued",
      "preparing",
      "rendering",
      "paused",
      "completed",
    ]);
    expect(said.some(({ type, data }) => type === "task.progress" && Number(data["frame_progress"]) > 0)).to.equal(true);
    await film(id);
    client.break();
    await proveLedger(admin);
  });

  /** The film of a completed task: ten frames, where this machine can make one. */
  async function film(id: string): Promise<void> {
    if (!(await findProgram("ffprobe"))) return;
    const list = async () => (await ada.get<Page<{ id: string }>>(`/api/files?kind=video&task_id=${id}`)).items;
    let said: string[] = [];
    await waitFor(
      async () => {
        said = (await ada.get<Page<{ message: string }>>(`/api/tasks/${id}/logs?page_size=100`)).items.map(({ message }) => message);
        return (await list()).length === 1;
      },
      { timeoutMs: 60_000, everyMs: 500, message: () => `the film; the log says\n${said.slice(-8).join("\n")}` },
    );
    const folder = await mkdtemp(path.join(os.tmpdir(), "tollkeeper-film-"));
    const file = path.join(folder, "film.mp4");
    await writeFile(file, await download((await list())[0]!.id));
    const { stdout } = await run("ffprobe", [
      "-v",
      "error",
      "-count_frames",
      "-show_entries",
      "stream=nb_read_frames,width,height",
      "-of",
      "csv=p=0",
      file,
    ]);
    await rm(folder, { recursive: true });
    expect(stdout.trim()).to.equal("64,36,10");
  }
});
