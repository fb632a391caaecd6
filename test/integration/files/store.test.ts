import { expect } from "chai";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { useStack } from "../../support/stack.ts";
import { bytes, codeOf, fileRig, MB, sha256, type FileRig } from "./rig.ts";

describe("what tasks make", () => {
  const places = useStack();
  let rig: FileRig;
  let ada: string;
  let folder: string;
  let task: string;

  before(async () => {
    rig = await fileRig(places);
    folder = mkdtempSync(path.join(tmpdir(), "files-test-"));
  });
  beforeEach(async () => {
    ada = await rig.person();
    task = randomUUID();
  });
  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await rig.close();
  });

  let written = 0;
  function onDisk(body: Buffer): string {
    const file = path.join(folder, `made-${++written}`);
    writeFileSync(file, body);
    return file;
  }
  const result = (body: Buffer, more: { key?: string; kind?: "frame" | "video"; ownerId?: string } = {}) => ({
    ownerId: ada,
    kind: "frame" as const,
    name: "frame-0001.png",
    contentType: "image/png",
    fromPath: onDisk(body),
    taskId: task,
    key: `render:${task}:1`,
    ...more,
  });
  const mine = async (): Promise<string[]> => (await rig.objects()).filter((key) => key.includes(ada));
  const outcomes = async (attempts: Promise<{ id: string }>[]) => new Set((await Promise.all(attempts)).map(({ id }) => id));

  it("is a file of its owner, with its sha256, and counts in his storage", async () => {
    const body = bytes(20_000);
    const file = await rig.files.store(result(body));
    expect(file).to.include({ state: "ready", kind: "frame", taskId: task, size: 20_000, sha256: sha256(body) });
    expect(await rig.files.list(ada, { taskId: task, kind: "frame" }, { limit: 10, offset: 0 })).to.deep.include({ total: 1 });
    expect((await rig.files.usage(ada)).bytes.used).to.equal(20_000);
    const { url } = await rig.files.download(ada, file.id, "inline");
    const answer = await fetch(url);
    expect(answer.headers.get("content-disposition")).to.match(/^inline; filename="frame-0001.png"/);
    expect(sha256(Buffer.from(await answer.arrayBuffer()))).to.equal(sha256(body));
    const empty = await rig.files.store(result(Buffer.alloc(0), { key: `render:${task}:log` }));
    expect(empty).to.include({ state: "ready", size: 0 });
  });

  it("is kept once for each key: later bytes change nothing", async () => {
    const first = await rig.files.store(result(bytes(100)));
    const second = await rig.another().store(result(bytes(200)));
    expect(second).to.deep.equal(first);
    expect(await mine()).to.deep.equal([first.objectKey]);
    expect((await rig.files.usage(ada)).bytes.used).to.equal(100);
    expect(await rig.files.store(result(bytes(1), { ownerId: await rig.person() })).catch(String)).to.contain("for somebody else");
  });

  it("is kept once when several workers finish the same frame at once, and what the others sent goes", async () => {
    const bodies = Array.from({ length: 6 }, (_, index) => bytes(1_000 + index));
    const ids = await outcomes(bodies.map((body) => rig.another().store(result(body))));
    expect(ids.size).to.equal(1);
    const file = (await rig.files.read(ada, [...ids][0]!))!;
    const { url } = await rig.files.download(ada, file.id);
    const kept = Buffer.from(await (await fetch(url)).arrayBuffer());
    expect(bodies.some((body) => body.equals(kept))).to.equal(true);
    expect([kept.length, sha256(kept)]).to.deep.equal([file.size, file.sha256]);
    expect(await mine()).to.deep.equal([file.objectKey]);
    expect(await rig.files.usage(ada)).to.deep.include({ files: { used: 1, limit: 10_000 } });
  });

  it("is stored again when the first worker died on the way, and what that one left is swept", async () => {
    const died = new Error("the process is gone");
    const { objects } = rig.storage;
    const dying = rig.another({
      storage: { ...rig.storage, objects: { ...objects, put: (...args) => objects.put(...args).then(() => Promise.reject(died)) } },
    });
    const left = await dying.store(result(bytes(10))).catch((error: unknown) => error);
    expect(left).to.equal(died);
    const file = await rig.files.store(result(bytes(10)));
    expect(await rig.states(ada)).to.deep.equal(["removing", "ready"]);
    await rig.pool.query("UPDATE files SET due_at = now() WHERE owner_id = $1 AND due_at IS NOT NULL", [ada]);
    await rig.files.sweep();
    expect(await rig.states(ada)).to.deep.equal(["ready"]);
    expect(await mine()).to.deep.equal([file.objectKey]);
  });

  it("may be neither a link nor a folder", async () => {
    const link = path.join(folder, `link-${task}`);
    symlinkSync("/etc/passwd", link);
    for (const fromPath of [link, folder]) {
      expect(await rig.files.store({ ...result(bytes(1)), fromPath }).catch(String)).to.contain("not an ordinary file");
    }
    expect(await rig.states(ada)).to.deep.equal([]);
  });

  it("goes with its task, from sight at once and from the storage with the next sweep", async () => {
    const frames = await Promise.all([1, 2, 3].map((frame) => rig.files.store(result(bytes(100), { key: `render:${task}:${frame}` }))));
    const other = await rig.files.store({ ...result(bytes(100), { key: `render:other:${task}` }), taskId: randomUUID() });
    expect(await rig.files.removeOfTask(task)).to.equal(3);
    expect(await rig.files.removeOfTask(task), "again").to.equal(0);
    expect(await codeOf(rig.files.find(ada, frames[0]!.id))).to.equal("not_found");
    expect((await rig.files.usage(ada)).files.used).to.equal(1);
    await rig.files.sweep();
    expect(await mine()).to.deep.equal([other.objectKey]);
    expect(await rig.states(ada)).to.deep.equal(["ready"]);
  });

  it("a scene is fetched byte by byte, and one that is not what was checked is not", async () => {
    const body = bytes(3 * MB);
    const scene = await rig.upload(ada, body, { sha256: sha256(body) });
    const to = path.join(folder, `scene-${task}`);
    await rig.files.fetch(scene, to);
    expect(readFileSync(to).equals(body)).to.equal(true);
    expect(await rig.files.fetch(scene, to).catch((error: NodeJS.ErrnoException) => error.code), "never over another file").to.equal(
      "EEXIST",
    );
    const elsewhere = path.join(folder, `elsewhere-${task}`);
    for (const [change, problem] of [
      [{ sha256: sha256(bytes(1)) }, "another sha256"],
      [{ size: 5 }, "more bytes"],
      [{ size: 3 * MB + 1 }, "in place of"],
      [{ etag: '"other"' }, "gone or were replaced"],
      [{ objectKey: `${scene.objectKey}x` }, "gone or were replaced"],
    ] as const) {
      expect(await rig.files.fetch({ ...scene, ...change }, elsewhere).catch(String), problem).to.contain(problem);
      expect(() => readFileSync(elsewhere), problem).to.throw("ENOENT");
    }
    const stopping = AbortSignal.abort();
    expect(await rig.files.fetch(scene, elsewhere, stopping).catch((error: Error) => error.name)).to.equal("AbortError");
  });
});
