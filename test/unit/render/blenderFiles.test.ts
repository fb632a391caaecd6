import { expect } from "chai";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { judge, type SceneFacts } from "../../../src/render/engines/blender/check.ts";
import { readFileHeader } from "../../../src/render/engines/blender/fileHeader.ts";
import { SceneRefused } from "../../../src/render/engines/engine.ts";

const use = { frameStart: 1, frameEnd: 10, width: 64, height: 36 };
const facts = (more: Partial<SceneFacts> = {}, scene: Partial<NonNullable<SceneFacts["scene"]>> = {}): SceneFacts => ({
  version: [3, 4],
  blender: [3, 4],
  scenes: ["Scene"],
  missing: [],
  scene: {
    name: "Scene",
    engine: "CYCLES",
    camera: "Camera",
    cameras: ["Camera"],
    frames: [1, 250],
    size: [1920, 1080],
    scripts: false,
    camera_found: true,
    ...scene,
  },
  ...more,
});

/** The words of a refusal, with the field it names. */
async function refusal(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof SceneRefused) return `${error.field} ${error.message}`;
    throw error;
  }
  return "no refusal";
}

describe("scene files of Blender", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "tollkeeper-scenes-"));
  });
  after(() => rm(folder, { recursive: true }));

  async function header(bytes: Buffer | string) {
    const file = path.join(folder, "scene.blend");
    await writeFile(file, bytes);
    return readFileHeader({ path: file, size: (await stat(file)).size }, AbortSignal.timeout(20_000));
  }

  it("are known by their first bytes, packed or not, of old and new versions", async () => {
    expect(await header("BLENDER-v304REND")).to.deep.equal({ packing: "none", version: { major: 3, minor: 4 } });
    expect(await header("BLENDER_V279REND")).to.deep.equal({ packing: "none", version: { major: 2, minor: 79 } });
    expect(await header("BLENDER17-01v0500REND")).to.deep.equal({ packing: "none", version: { major: 5, minor: 0 } });
    expect(await header(gzipSync("BLENDER-v293REND"))).to.deep.equal({ packing: "gzip", version: { major: 2, minor: 93 } });
    expect(await header(Buffer.from("28b52ffd00", "hex"))).to.deep.equal({ packing: "zstd" });
  });

  it("are refused when they are something else, with what they are", async () => {
    const cases: [Buffer | string, string][] = [
      ["", "is empty"],
      ["B", "is not a Blender file"],
      ["hello", "is not a Blender file"],
      ["BLENDER-vXYZ", "is a Blender file with a header that cannot be read"],
      [gzipSync("hello"), "is not a Blender file"],
      [gzipSync("BLENDER-v304REND").subarray(0, 20), "is damaged: it cannot be unpacked"],
      [Buffer.from([0x1f, 0x8b, 1, 2, 3]), "is damaged: it cannot be unpacked"],
      ["PK\u0003\u0004rest", "is a zip archive: upload the .blend file itself, with everything packed into it (File > External Data)"],
    ];
    for (const [bytes, why] of cases) expect(await refusal(() => header(bytes))).to.equal(`scene_file_id ${why}`);
  });

  it("are refused when they grow without end as they are unpacked", async () => {
    const bomb = gzipSync(Buffer.concat([Buffer.from("BLENDER-v304REND"), Buffer.alloc(600 * 2 ** 20)]), { level: 1 });
    expect(bomb.length).to.be.lessThan(4 * 2 ** 20);
    expect(await refusal(() => header(bomb))).to.equal("scene_file_id is more than 512 MiB when it is unpacked");
  });

  const settings = { allow_missing: false };
  const why = (known: SceneFacts, more = {}) => refusal(() => judge(known, { ...settings, ...more }, use, { eevee: false }));

  it("are refused with the reason why they cannot be rendered here", async () => {
    expect(await why(facts({ version: [4, 0] }))).to.match(/was saved by Blender 4.0, which is newer than the 3.4 that renders here/);
    expect(await why(facts({ scene: undefined }), { scene: "Kitchen" })).to.equal("settings.scene is not in the file, which has Scene");
    expect(await why(facts({}, { camera: null }))).to.match(/^scene_file_id has no camera that is active/);
    expect(await why(facts({}, { camera_found: false }), { camera: "Left" })).to.equal("settings.camera must be one of Camera");
    expect(await why(facts({}, { scripts: true }))).to.match(/Freestyle with Python scripts/);
    expect(await why(facts({}, { engine: "LUXCORE" }))).to.match(/made for the renderer LUXCORE/);
    expect(await why(facts({}, { engine: "BLENDER_EEVEE" }))).to.match(/set settings.render_engine to cycles/);
    expect(await why(facts({ missing: ["//wood.png", "//lib/tree.blend"] }))).to.match(
      /that are not in it: \/\/wood.png, \/\/lib\/tree.blend/,
    );
  });

  it("are rendered with remarks where the owner may want to know something", () => {
    expect(judge(facts(), settings, use, { eevee: false })).to.deep.equal([]);
    expect(judge(facts({}, { engine: "BLENDER_EEVEE" }), { ...settings, render_engine: "cycles" }, use, { eevee: false })).to.deep.equal(
      [],
    );
    const odd = { frameStart: 0, frameEnd: 300, width: 100, height: 100 };
    expect(judge(facts({ missing: ["//a.png"] }), { allow_missing: true }, odd, { eevee: false })).to.deep.equal([
      "Rendered without //a.png",
      "The scene's own frames are 1 to 250",
      "The scene is made for 1920 × 1080",
    ]);
  });
});
