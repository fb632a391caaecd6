import { execFile } from "node:child_process";
import { Worker } from "@temporalio/worker";
import { expect } from "chai";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { workflowBundle } from "../../../temporal/bundle.ts";
import type { ProgramSettings } from "../../../src/render/index.ts";
import { findProgram } from "../../../src/render/process/index.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { saveHistory } from "../../support/histories.ts";
import { useStack } from "../../support/stack.ts";
import { prove, request, startRig, type Page, type Person, type Rig, type Task } from "./rig.ts";

const run = promisify(execFile);
const MIB = 2 ** 20;

/** The real ffmpeg; on a machine without it, that a task is completed all the same and says what is missing. */
describe("films of render tasks", function () {
  this.timeout(120_000);
  const places = useStack({ namespace: true });
  let folder: string;
  let programs: ProgramSettings;
  let rig: Rig;
  let ada: Person;
  let installed: boolean;

  before(async () => {
    installed = (await findProgram("ffmpeg")) !== undefined;
    folder = await mkdtemp(path.join(os.tmpdir(), "tollkeeper-films-"));
    await chmod(folder, 0o755);
    programs = {
      offered: [],
      blender: "blender",
      blenderDevice: "CPU",
      maya: "Render",
      mayaNetwork: false,
      ffmpeg: "ffmpeg",
      isolated: false,
      folder,
      frameMs: 60_000,
      checkMs: 60_000,
      memory: 2_048 * MIB,
      output: 64 * MIB,
      threads: 2,
    };
    rig = await startRig({ places, programs });
  });
  beforeEach(async () => {
    ada = await rig.person();
  });
  afterEach(async () => {
    await prove(rig);
    expect(await readdir(path.join(folder, "rooms")).catch(() => [])).to.deep.equal([]);
  });
  after(async () => {
    await rig.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** What the log of a task says of its film, when its workflow has ended. */
  async function filmed(task: Task, where: Rig = rig, whose: Person = ada): Promise<string[]> {
    await where.client.workflow.getHandle(task.workflow_id).result();
    const { data } = await whose.call<Page<{ message: string }>>("GET", `/api/tasks/${task.id}/logs?page_size=100`);
    return data.items.map(({ message }) => message).filter((message) => message.startsWith("the film"));
  }

  /** What ran can be run again by this code; with RECORD_HISTORIES it is kept for later code. */
  async function replay(task: Task): Promise<void> {
    const handle = rig.client.workflow.getHandle(task.workflow_id);
    await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, await handle.fetchHistory(), handle.workflowId);
    const release = process.env["RECORD_HISTORIES"];
    if (release) await saveHistory(handle, "renderTask-film", release);
  }

  const filmOf = (task: Task, where: Rig = rig) => where.files.stored.get(`render:${task.id}:video`);

  async function probe(file: string): Promise<Record<string, unknown>> {
    const fields = "stream=codec_name,width,height,nb_read_frames,r_frame_rate";
    const { stdout } = await run("ffprobe", ["-v", "error", "-count_frames", "-show_entries", fields, "-of", "json", file]);
    return (JSON.parse(stdout) as { streams: Record<string, unknown>[] }).streams[0]!;
  }

  for (const codec of ["h264", "vp9"]) {
    it(`a task's frames become a film in ${codec}, of any size, with every frame once`, async () => {
      const size = { width: 65, height: 37, frame_start: -3, frame_end: 20, frame_step: 2 };
      const task = await ada.task({ ...size, settings: { video: { fps: 12, codec } } });
      const done = await ada.until(task, "completed");
      const said = await filmed(task);
      await replay(task);
      if (!installed) return expect(said).to.include("the film could not be made: ffmpeg is not installed");
      const film = filmOf(task)!;
      expect(said).to.deep.equal(["the film is being made", `the film is ready: file ${film.id}`]);
      expect(await probe(film.path)).to.deep.equal({
        codec_name: codec,
        width: 66,
        height: 38,
        nb_read_frames: "12",
        r_frame_rate: "12/1",
      });
      expect((await ada.read(task)).cost).to.equal(done.cost);
      // 12 frames of 0.01 and their samples: a film costs nothing.
      expect(done.cost).to.equal("0.120012");
    });
  }

  it("is told while it is made, and is the same file however often it is made", async () => {
    const task = await ada.task({ frame_end: 5, settings: { video: { fps: 5 } } });
    await ada.until(task, "completed");
    await filmed(task);
    const before = filmOf(task);
    const watch = { signal: new AbortController().signal, beat: () => undefined };
    const again = rig.steps.assembleVideo({ taskId: task.id }, watch);
    if (!installed)
      return expect((await again.catch((error: Error) => error)) as Error).to.have.property("message", "ffmpeg is not installed");
    await again;
    expect(filmOf(task)!.id).to.equal(before!.id);
    const told = rig.messages.filter(({ data }) => data["task_id"] === task.id && data["video_progress"] !== undefined);
    expect(told.length).to.be.greaterThan(0);
  });

  it("a task without that wish has none, and wishes that make no sense are refused", async () => {
    const task = await ada.task();
    await ada.until(task, "completed");
    expect(await filmed(task)).to.deep.equal([]);
    const answer = await ada.call("POST", "/api/tasks", request({ settings: { video: { fps: 1_000 } } }));
    expect([answer.status, answer.message.split(":")[0]]).to.deep.equal([400, "settings.video.fps"]);
  });

  it("a film that cannot be made loses no frame and costs nothing, and the log says why", async () => {
    const other = await startRig({ places, programs: { ...programs, ffmpeg: "/nowhere/ffmpeg" }, queues: `-${uuidv7()}` });
    try {
      const eve = await other.person();
      const task = await eve.task({ settings: { video: {} } });
      await eve.until(task, "completed");
      expect(await filmed(task, other, eve)).to.include("the film could not be made: ffmpeg is not installed");
      expect(filmOf(task, other)).to.equal(undefined);
      expect((await eve.frames(task)).map(({ status }) => status)).to.deep.equal(["completed", "completed", "completed"]);
      expect(await eve.read(task)).to.include({ status: "completed", cost: "0.030003", held: "0" });
      await prove(other);
    } finally {
      await other.close();
    }
  });

  it("pictures that their owner has removed meanwhile are missed, once", async () => {
    const task = await ada.task({ frame_end: 2 });
    await ada.until(task, "completed");
    await rig.pool.query(`UPDATE render_tasks SET settings = '{"video": {}}' WHERE id = $1`, [task.id]);
    rig.files.stored.delete(`render:${task.id}:2`);
    const watch = { signal: new AbortController().signal, beat: () => undefined };
    const failure = await rig.steps.assembleVideo({ taskId: task.id }, watch).catch((error: unknown) => error);
    expect(failure).to.deep.include({ type: "FilmFailed", nonRetryable: true });
    expect(failure).to.have.property("message", "the picture of frame 2 is not there any more");
  });
});
