import { expect } from "chai";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import sharp from "sharp";
import { createMaya } from "../../../src/render/engines/maya/index.ts";
import { EngineMissing, FrameFailed, SceneRefused, type FrameJob, type RenderEngine } from "../../../src/render/engines/engine.ts";
import { createSandbox } from "../../../src/render/process/index.ts";
import { createLogger } from "../../../src/platform/logger.ts";

const MIB = 2 ** 20;
const log = createLogger({ level: "silent", name: "test" });
const node = { frameMs: 20_000, checkMs: 20_000, memory: 512 * MIB, output: 16 * MIB, threads: 2 };

/** A command that speaks as Maya's does; what it does is said in the scene. */
const RENDER = (picture: string) => `#!/bin/sh
[ "$1" = -v ] && { echo "Maya 2024, Cut Number 202302170737"; exit 0; }
for word; do [ "$last" = -rd ] && folder=$word; [ "$last" = -s ] && frame=$word; last=$word; done
mkdir "$folder/masterLayer"
put() { base64 -d > "$folder/masterLayer/$1" <<'PICTURE'
${picture}
PICTURE
}
echo "00:00:01   150MB         |    50% done - 12 rays/pixel"
case $(tail -n 1 "$last") in
  *two*) put a.png; put b.png ;;
  *none*) ;;
  *link*) ln -s /etc/passwd "$folder/picture.png" ;;
  *licence*) echo "Error: License was not found, licensing error"; exit 0 ;;
  *status*) echo "// Maya exited with status 211"; exit 0 ;;
  *forever*) sleep 1000 ;;
  *evil*) touch "$HOME/../../evil" /usr/evil 2>&1 || echo "Error: $(id -u) may not"; exit 1 ;;
  *) put "picture.$frame.png" ;;
esac
`;

describe("rendering with Maya", function () {
  this.timeout(60_000);
  let folder: string;
  let apart: boolean;
  let maya: RenderEngine;
  const sandboxOf = () => createSandbox({ folder: path.join(folder, "rooms"), required: true, log });

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "tollkeeper-maya-"));
    await chmod(folder, 0o755);
    await mkdir(path.join(folder, "bin"));
    const png = await sharp({ create: { width: 64, height: 36, channels: 3, background: "red" } })
      .png()
      .toBuffer();
    const program = path.join(folder, "bin/Render");
    await writeFile(program, RENDER(png.toString("base64")), { mode: 0o755 });
    apart = (await sandboxOf().isolation()).kind === "full";
    maya = createMaya({ program, network: false, node, sandbox: sandboxOf(), log });
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function scene(does = "", first = "//Maya ASCII 2024 scene"): Promise<string> {
    const file = path.join(folder, `${does || "good"}.ma`);
    await writeFile(file, `${first}\n// ${does}\n`);
    return file;
  }
  const job = (scenePath: string): FrameJob => ({
    scenePath,
    frame: 3,
    width: 64,
    height: 36,
    samples: 4,
    format: "png",
    outputPath: path.join(folder, "out.png"),
    settings: {},
  });
  const use = { width: 64, height: 36, samples: 4, format: "png", frameStart: 1, frameEnd: 1 };
  const never = new AbortController().signal;

  /** Without bubblewrap Maya is never run: scripts in its scenes cannot be switched off. */
  async function refusedHere(): Promise<void> {
    const answer = await maya
      .render(job(await scene()), { progress: () => undefined, log: () => undefined, signal: never })
      .catch((e: unknown) => e);
    expect(answer).to.be.instanceOf(EngineMissing);
    expect((answer as Error).message).to.match(/^renderers cannot be kept apart here/);
  }

  it("is missing where it is not installed, and says so", async () => {
    const absent = createMaya({ program: "no-such-Render", network: false, node, sandbox: sandboxOf(), log });
    expect(await absent.state!()).to.deep.equal({ kind: "missing", why: "Maya is not installed" });
    const file = await scene();
    const failure = await absent.check({ path: file, name: "a.ma", size: 30 }, {}, never, use).catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(EngineMissing).and.have.property("message", "Maya is not installed");
  });

  it("tells its version, renders a frame and hands out its picture, in whatever folder it was put", async () => {
    if (!apart) return refusedHere();
    expect(await maya.state!()).to.deep.equal({ kind: "ready", version: "2024", notes: [] });
    const seen: number[] = [];
    const result = await maya.render(job(await scene()), {
      progress: (fraction) => void seen.push(fraction),
      log: () => undefined,
      signal: never,
    });
    expect(result).to.include({ contentType: "image/png", width: 64, height: 36 });
    expect(result.seconds).to.be.greaterThan(0);
    expect(await sharp(result.path).metadata()).to.include({ format: "png", width: 64, height: 36 });
    expect(seen).to.deep.equal([0.5, 1]);
  });

  it("refuses scenes that are none, or newer, before any money is held", async () => {
    if (!apart) return refusedHere();
    for (const [first, why] of [
      ["a teapot", "is not a Maya file"],
      ["//Maya ASCII 2030 scene", "was saved by Maya 2030, which is newer than the 2024 that renders here"],
    ] as const) {
      const file = await scene("", first);
      const failure = await maya.check({ path: file, name: "a.ma", size: 30 }, {}, never, use).catch((error: unknown) => error);
      expect(failure).to.be.instanceOf(SceneRefused).and.have.property("message", why);
    }
    expect(await maya.check({ path: await scene(), name: "a.ma", size: 30 }, {}, never, use)).to.deep.equal({ notes: [] });
  });

  it("fails a frame with the reason, and tries again only what may succeed", async () => {
    if (!apart) return refusedHere();
    const cases: [string, boolean, RegExp][] = [
      ["none", false, /^Maya made no picture$/],
      ["two", false, /^Maya made more than one picture$/],
      ["link", false, /^Maya made no picture: nothing was written$/],
      ["status", false, /^Maya exited with status 211$/],
      ["licence", true, /^no licence: /],
      ["evil", false, /^Maya ended with code 1$/],
    ];
    for (const [does, retry, why] of cases) {
      const hooks = { progress: () => undefined, log: () => undefined, signal: never };
      const failure = await maya.render(job(await scene(does)), hooks).catch((error: unknown) => error);
      expect(failure, does).to.be.instanceOf(FrameFailed);
      expect((failure as FrameFailed).reason).to.match(why);
      expect((failure as FrameFailed).retry, does).to.equal(retry);
    }
  });

  it("ends at once when its frame is not wanted any more", async () => {
    if (!apart) return refusedHere();
    const cancel = new AbortController();
    const hooks = { progress: () => cancel.abort(new Error("cancelled")), log: () => undefined, signal: cancel.signal };
    const failure = await maya.render(job(await scene("forever")), hooks).catch((error: unknown) => error);
    expect(failure).to.have.property("message", "cancelled");
  });
});
