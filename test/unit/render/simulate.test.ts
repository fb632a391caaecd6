import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import sharp from "sharp";
import { FrameFailed, SceneRefused, type FrameHooks, type FrameJob } from "../../../src/render/engines/engine.ts";
import { createSimulate } from "../../../src/render/engines/simulate/index.ts";

const USE = { width: 64, height: 48, samples: 1, format: "png", frameStart: 1, frameEnd: 2 };
const never = new AbortController().signal;

describe("the engine simulate", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "tollkeeper-simulate-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const job = (more: Partial<FrameJob> = {}): FrameJob => ({
    frame: 1,
    width: 160,
    height: 90,
    samples: 16,
    format: "png",
    outputPath: path.join(folder, `${Math.random()}.out`),
    settings: {},
    ...more,
  });
  const hooks = (more: Partial<FrameHooks> = {}): FrameHooks => ({
    progress: () => undefined,
    log: () => undefined,
    signal: never,
    ...more,
  });

  it("draws the same bytes for the same frame, and others for another", async () => {
    const engine = createSimulate();
    const bytes = async (frame: number) => readFile((await engine.render(job({ frame }), hooks())).path);
    const [once, again, other] = [await bytes(7), await bytes(7), await bytes(8)];
    expect(once.equals(again)).to.equal(true);
    expect(once.equals(other)).to.equal(false);
  });

  for (const format of ["png", "jpeg", "webp"]) {
    it(`draws a ${format} of the size that was asked`, async () => {
      const result = await createSimulate().render(job({ format, width: 301, height: 17 }), hooks());
      expect(await sharp(result.path).metadata()).to.include({ format, width: 301, height: 17 });
      expect(result).to.include({ contentType: `image/${format}`, width: 301, height: 17, seconds: 0 });
    });
  }

  it("takes the time that its settings say, tells how far it is, and says in advance what it will take", async () => {
    const engine = createSimulate();
    const seen: number[] = [];
    const settings = { seconds_per_frame: 0.25 };
    const began = Date.now();
    const result = await engine.render(job({ settings }), hooks({ progress: (fraction) => void seen.push(fraction) }));
    expect(Date.now() - began).to.be.at.least(240);
    expect(result.seconds).to.equal(0.25);
    expect(seen.at(-1)).to.equal(1);
    expect([...seen].sort((a, b) => a - b)).to.deep.equal(seen);
    expect((await engine.check(undefined, settings, never, USE)).secondsPerFrame).to.equal(0.25);
    expect((await engine.check(undefined, { ...settings, estimated_seconds: 2 }, never, USE)).secondsPerFrame).to.equal(2);
  });

  it("fails the frames it is told to, for good or once", async () => {
    const engine = createSimulate();
    const settings = { fail_frames: [3], fail_once: [4] };
    const fail = async (one: FrameJob) =>
      engine.render(one, hooks()).then(
        () => undefined,
        (error: unknown) => error as FrameFailed,
      );
    expect(await fail(job({ frame: 3, settings })))
      .to.be.instanceOf(FrameFailed)
      .and.include({ retry: false });
    const one = job({ frame: 4, settings });
    expect(await fail(one))
      .to.be.instanceOf(FrameFailed)
      .and.include({ retry: true });
    expect(await fail({ ...one, attempt: 2 })).to.equal(undefined);
  });

  it("ends at once when the frame is not wanted any more", async () => {
    const stop = new AbortController();
    const began = Date.now();
    const rendering = createSimulate().render(job({ settings: { seconds_per_frame: 60 } }), hooks({ signal: stop.signal }));
    stop.abort();
    const failure = await rendering.catch((error: Error) => error);
    expect(failure).to.be.instanceOf(Error);
    expect(Date.now() - began).to.be.lessThan(2_000);
  });

  it("refuses settings it does not know, naming them", async () => {
    for (const [settings, field] of [
      [{ seconds_per_frame: -1 }, "settings.seconds_per_frame"],
      [{ fail_frames: "all" }, "settings.fail_frames"],
      [{ quality: 1 }, "settings"],
    ] as const) {
      const refusal = await createSimulate()
        .check(undefined, settings, never, USE)
        .catch((error: unknown) => error);
      expect(refusal).to.be.instanceOf(SceneRefused).and.include({ field });
    }
  });
});
