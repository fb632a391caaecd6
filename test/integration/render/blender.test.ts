import { expect } from "chai";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import net, { type AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import sharp from "sharp";
import { createEngines, describeEngines, type ProgramSettings } from "../../../src/render/index.ts";
import { createSandbox } from "../../../src/render/process/index.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { hasBlender, makeScene } from "../../support/blender.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { prove, request, startRig, type Person, type Rig, type Task } from "./rig.ts";

const MIB = 2 ** 20;
const log = createLogger({ level: "silent", name: "test" });

/** The real Blender; on a machine without it, that tasks for it are refused and say so. */
describe("rendering with Blender", function () {
  this.timeout(180_000);
  const places = useStack({ namespace: true });
  let folder: string;
  let programs: ProgramSettings;
  let rig: Rig;
  let ada: Person;
  let installed: boolean;
  let small: Buffer;

  before(async () => {
    installed = await hasBlender();
    if (installed) small = await makeScene();
    folder = await mkdtemp(path.join(os.tmpdir(), "tollkeeper-blender-"));
    programs = {
      offered: ["blender"],
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
    const rooms = await readdir(path.join(folder, "rooms")).catch(() => []);
    expect(rooms).to.deep.equal([]);
  });
  after(async () => {
    await rig.close();
    await rm(folder, { recursive: true, force: true });
  });

  const body = (scene: string, more = {}) => request({ engine: "blender", scene_file_id: scene, samples: 4, ...more });
  const upload = (bytes: Buffer | string, name = "scene.blend") => rig.files.scene(ada.id, bytes, name);

  /** Asks for a task until the look at its scene is over; that may take longer than a request. */
  async function ask(asked: Record<string, unknown>) {
    for (;;) {
      const answer = await ada.call<{ id: string }>("POST", "/api/tasks", asked);
      if (answer.status !== 503 || !/still being looked at/.test(answer.message)) return answer;
    }
  }

  /** Waits until a task is over. */
  async function over({ id }: { id: string }, whose: Person = ada): Promise<Task> {
    await waitFor(async () => (await whose.read({ id })).progress === 100 || /failed|cancelled/.test((await whose.read({ id })).status), {
      timeoutMs: 150_000,
      message: "the task to be over",
    });
    return whose.until({ id }, "completed", "failed", "cancelled");
  }

  /** Without Blender every task for it is 503, says why, and holds nothing. */
  async function absent(): Promise<void> {
    const answer = await ask(body(upload("BLENDER-v304REND")));
    expect(answer.status).to.equal(503);
    expect(answer.message).to.match(/^No render node has (blender|this engine) now: /);
    expect((await ada.balance()).held).to.equal("0");
  }

  async function refusal(scene: Buffer | string, more = {}): Promise<string> {
    const answer = await ask(body(upload(scene), more));
    expect(answer.status, answer.message).to.equal(400);
    expect((await ada.balance()).held).to.equal("0");
    return answer.message;
  }

  it("says which version it is, and whether it is kept apart from its machine", async () => {
    const said = (await describeEngines(createEngines({ simulate: true, programs: { ...programs, log } }))).said["blender"];
    const isolation = await createSandbox({ folder: path.join(folder, "rooms"), required: false, log }).isolation();
    const kept = isolation.kind === "full" ? "" : `, not kept apart from its machine: ${isolation.why}`;
    expect(said).to.match(installed ? /^\d+\.\d+(\.\d+)?/ : /^missing: Blender is not installed$/);
    if (installed) expect(said!.replace(/^[\d.]+/, "")).to.equal(kept);
  });

  it("ten frames of a scene are rendered, kept as pictures and charged to the micro-credit", async () => {
    if (!installed) return absent();
    const answer = await ask(body(upload(small), { frame_end: 10 }));
    expect(answer.status, answer.message).to.equal(201);
    const task = await over(answer.data);
    expect(task).to.include({ status: "completed", message: null });
    const frames = await ada.frames(task);
    expect(frames.map(({ frame, status, attempts }) => ({ frame, status, attempts }))).to.deep.equal(
      Array.from({ length: 10 }, (_, i) => ({ frame: i + 1, status: "completed", attempts: 1 })),
    );
    const pictures = await Promise.all(frames.map(({ file_id }) => rig.files.bytes(file_id!)));
    for (const picture of pictures) expect(await sharp(picture).metadata()).to.include({ format: "png", width: 64, height: 36 });
    expect(new Set(pictures.map(String)).size).to.equal(10);
    const { rows } = await rig.pool.query<{ seconds: number; cost: bigint }>("SELECT seconds, cost FROM render_frames WHERE task_id = $1", [
      task.id,
    ]);
    // 0.05 a frame, 0.0005 a million samples, 0.02 a second, in micro-credits, rounded up.
    const costs = rows.map(({ seconds }) =>
      BigInt(Math.ceil(50_000 + (500 * 64 * 36 * 4) / 1e6 + (20_000 * Math.round(seconds * 1_000)) / 1e3)),
    );
    expect(rows.map(({ cost }) => cost)).to.deep.equal(costs);
    const total = costs.reduce((sum, cost) => sum + cost, 0n);
    expect(Math.round(Number(task.cost) * 1e6)).to.equal(Number(total));
    expect(Math.round(Number((await ada.balance()).total) * 1e6)).to.equal(1e9 - Number(total));
  });

  it("each format is a picture of that format, and the same frame is the same picture", async () => {
    if (!installed) return absent();
    const scene = upload(small);
    const engine = createEngines({ simulate: false, programs: { ...programs, log } }).get("blender")!;
    const { path: scenePath } = await bring(scene);
    const hooks = { progress: () => undefined, log: () => undefined, signal: new AbortController().signal };
    const draw = async (format: string, name: string) => {
      const outputPath = path.join(folder, name);
      await engine.render({ scenePath, frame: 5, width: 32, height: 32, samples: 2, format, outputPath, settings: {} }, hooks);
      return format === "png" ? sharp(outputPath).raw().toBuffer() : readFile(outputPath);
    };
    expect((await draw("jpeg", "a.jpeg")).subarray(0, 2).toString("hex")).to.equal("ffd8");
    expect((await draw("exr", "a.exr")).subarray(0, 4).toString("hex")).to.equal("762f3101");
    expect((await draw("png", "a.png")).equals(await draw("png", "b.png"))).to.equal(true);
  });

  /** A scene as a node has it. */
  async function bring(id: string): Promise<{ path: string }> {
    const target = path.join(folder, `${id}.blend`);
    await rig.files.fetch({ id, name: "scene.blend", size: 0, kind: "scene" }, target, new AbortController().signal);
    return { path: target };
  }

  it("what is no scene, or not one of ours, is refused with the reason before any money is held", async () => {
    if (!installed) return absent();
    const good = small;
    expect(await refusal("a teapot")).to.equal("scene_file_id: is not a Blender file");
    expect(await refusal(good.subarray(0, good.length / 2))).to.match(/^scene_file_id: cannot be opened: /);
    expect(await refusal(Buffer.concat([Buffer.from("BLENDER-v999"), good.subarray(12)]))).to.match(
      /was saved by Blender 9.99, which is newer than the/,
    );
    const bomb = gzipSync(Buffer.concat([Buffer.from("BLENDER-v304REND"), Buffer.alloc(600 * MIB)]), { level: 1 });
    expect(await refusal(bomb)).to.equal("scene_file_id: is more than 512 MiB when it is unpacked");
    expect(await refusal(good, { settings: { camera: "Left" } })).to.equal("settings.camera: must be one of Camera");
    expect(await refusal(good, { settings: { scene: "Kitchen" } })).to.equal("settings.scene: is not in the file, which has Scene");
    expect(await refusal(good, { settings: { script: "x.py" } })).to.match(/^settings: /);
  });

  it("a scene that needs other files of this machine is refused, and does not get them when it is rendered all the same", async () => {
    if (!installed) return absent();
    const linked = await makeScene(`
image = bpy.data.images.load("/usr/share/pixmaps/none.png", check_existing=False) if False else bpy.data.images.new("i", 8, 8)
image.source = "FILE"; image.filepath = "../../../../etc/shadow.png"
texture = bpy.data.materials["Material"].node_tree.nodes.new("ShaderNodeTexImage"); texture.image = image
`);
    expect(await refusal(linked)).to.match(/needs files that are not in it: .*etc\/shadow.png/);
    const answer = await ask(body(upload(linked), { frame_end: 1, settings: { allow_missing: true } }));
    expect(answer.status, answer.message).to.equal(201);
    expect((await over(answer.data)).status).to.equal("completed");
  });

  it("Python in a scene does not run: at its start, in drivers, or in Freestyle; and where it did, it would reach nothing", async () => {
    if (!installed) return absent();
    const mark = path.join(os.tmpdir(), `evil-${uuidv7()}`);
    let connections = 0;
    const server = net.createServer((socket) => socket.end(void (connections += 1))).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const evil = `import socket\\ntry:\\n  open(${JSON.stringify(mark)}, "w").write("x")\\nfinally:\\n  socket.create_connection(("127.0.0.1", ${(server.address() as AddressInfo).port}), 2)\\n`;
    const start = `
text = bpy.data.texts.new("start.py"); text.use_module = True; text.write('''${evil}''')
driver = bpy.data.objects["Cube"].driver_add("location", 0).driver
driver.type = "SCRIPTED"; driver.expression = "__import__('os').system('touch ${mark}') or 1.0"
node = None
scene.use_nodes = True
node = scene.node_tree.nodes.new("CompositorNodeOutputFile"); node.base_path = ${JSON.stringify(path.dirname(mark))}
node.file_slots[0].path = ${JSON.stringify(path.basename(mark))}
scene.node_tree.links.new(scene.node_tree.nodes["Render Layers"].outputs["Image"], node.inputs[0])
`;
    const freestyle = `
scene.render.use_freestyle = True
layer = scene.view_layers[0]; layer.use_freestyle = True; layer.freestyle_settings.mode = "SCRIPT"
text = bpy.data.texts.new("style.py"); text.write('''${evil}''')
layer.freestyle_settings.modules.new().script = text
`;
    expect(await refusal(await makeScene(freestyle))).to.equal("scene_file_id: uses Freestyle with Python scripts, which are not run here");
    const evilScene = upload(await makeScene(start));
    const answer = await ask(body(evilScene, { frame_end: 1 }));
    expect(answer.status, answer.message).to.equal(201);
    expect((await over(answer.data)).status).to.equal("completed");
    // As if all of it were allowed to run.
    const { path: scenePath } = await bring(evilScene);
    const sandbox = createSandbox({ folder: path.join(folder, "rooms"), required: false, log });
    if ((await sandbox.isolation()).kind === "full") {
      const limits = {
        wallMs: 60_000,
        cpuSeconds: 60,
        memory: 2_048 * MIB,
        output: 64 * MIB,
        files: 100,
        processes: 20,
        boundAddresses: true,
      };
      const lines: string[] = [];
      const args = ({ given }: { given: Readonly<Record<string, string>> }) => [
        "--background",
        "--factory-startup",
        "--enable-autoexec",
        given["scene"]!,
        "--render-output",
        "/work/x",
        "--render-frame",
        "1",
      ];
      const program = { file: "/usr/bin/blender", arguments: args, given: { scene: scenePath }, limits };
      await sandbox.enter(({ run }) => run(program, { signal: AbortSignal.timeout(90_000), onLine: (line) => void lines.push(line) }));
      expect(lines.join("\n")).to.match(/Network is unreachable|Connection refused/);
    }
    server.close();
    expect(connections).to.equal(0);
    const left = (await readdir(os.tmpdir())).filter((name) => name.startsWith(path.basename(mark)));
    expect(left).to.deep.equal([]);
  });

  it("a frame without end, or larger than memory, fails the task with the reason and costs nothing", async () => {
    if (!installed) return absent();
    const cases: [Partial<ProgramSettings>, Record<string, unknown>, RegExp][] = [
      [{ frameMs: 4_000 }, { samples: 20_000, width: 640, height: 360 }, /^Frame 1: Blender took longer than 4 s$/],
      [
        { memory: 300 * MIB },
        { samples: 1, width: 3_840, height: 2_160 },
        /^Frame 1: Blender (needed more than 300 MiB of memory|ended with \w+)/,
      ],
      [{ output: 65_536 }, { samples: 1, width: 640, height: 360 }, /^Frame 1: Blender (wrote more than 0 MiB|made no picture)/],
    ];
    for (const [limits, more, why] of cases) {
      const other = await startRig({ places, programs: { ...programs, ...limits }, queues: `-${uuidv7()}` });
      try {
        const eve = await other.person("10000");
        const id = other.files.scene(eve.id, small, "scene.blend");
        let answer;
        do answer = await eve.call<{ id: string }>("POST", "/api/tasks", body(id, { frame_end: 1, ...more }));
        while (answer.status === 503);
        expect(answer.status, answer.message).to.equal(201);
        const failed = await over(answer.data, eve);
        expect(failed.message).to.match(why);
        expect(failed.cost).to.equal("0");
        expect((await eve.balance()).total).to.equal("10000");
        await prove(other);
      } finally {
        await other.close();
      }
    }
  });

  it("a frame that is cancelled is given up within seconds, and nothing is left of it", async () => {
    if (!installed) return absent();
    const answer = await ask(body(upload(small), { frame_end: 2, samples: 20_000, width: 640, height: 360 }));
    expect(answer.status, answer.message).to.equal(201);
    await ada.until(answer.data, "rendering");
    const began = Date.now();
    expect((await ada.call("POST", `/api/tasks/${answer.data.id}/cancel`)).status).to.equal(200);
    expect(Date.now() - began).to.be.lessThan(5_000);
    expect((await ada.balance()).total).to.equal("1000");
    await waitFor(async () => (await readdir(path.join(folder, "rooms"))).length === 0, { message: "its folder to be gone" });
  });
});
