import { expect } from "chai";
import { randomUUID } from "node:crypto";
import { useStack } from "../../support/stack.ts";
import { bytes, codeOf, fileRig, MB, send, type FileRig } from "./rig.ts";

describe("the sweep of files", () => {
  const places = useStack();
  let rig: FileRig;
  let ada: string;

  before(async () => {
    rig = await fileRig(places);
  });
  beforeEach(async () => {
    ada = await rig.person();
  });
  after(() => rig.close());

  const mine = async (): Promise<string[]> => [...(await rig.objects()), ...(await rig.uploads())].filter((key) => key.includes(ada));

  it("ends an upload that was never finished, with the parts that arrived, and frees its storage", async () => {
    const body = bytes(6 * MB);
    const view = await rig.open(ada, body);
    await send(view, body);
    const young = await rig.open(ada, bytes(5));
    await rig.due(view.file.id);
    expect((await rig.files.sweep()).expired).to.equal(1);
    expect(await codeOf(rig.files.complete(ada, view.file.id))).to.equal("not_found");
    expect((await rig.files.usage(ada)).bytes.used).to.equal(5);
    expect(await mine()).to.deep.equal([young.file.objectKey]);
    expect(await rig.states(ada)).to.deep.equal(["removing", "uploading"]);
    await rig.due(view.file.id);
    expect((await rig.files.sweep()).removed).to.equal(1);
    expect(await rig.states(ada)).to.deep.equal(["uploading"]);
  });

  it("an upload that is completed at the very moment is either whole or gone", async () => {
    for (let round = 0; round < 25; round++) {
      const body = bytes(500);
      const view = await rig.open(ada, body);
      await send(view, body);
      await rig.due(view.file.id);
      const [ended] = await Promise.all([codeOf(rig.files.complete(ada, view.file.id)), rig.files.sweep()]);
      const there = await codeOf(rig.files.find(ada, view.file.id));
      expect([ended, there]).to.deep.equal(ended === "done" ? ["done", "done"] : ["not_found", "not_found"]);
      if (ended === "done") expect(await rig.files.exists(ada, view.file.id)).to.deep.include({ exists: true });
    }
    for (let round = 0; round < 3; round++) {
      await rig.pool.query("UPDATE files SET due_at = now() WHERE owner_id = $1 AND due_at IS NOT NULL", [ada]);
      await rig.files.sweep();
    }
    const { total } = await rig.files.list(ada, {}, { limit: 1, offset: 0 });
    expect(await mine()).to.have.length(total);
  });

  it("removes objects and uploads that belong to no file, when they are old and ours", async () => {
    const body = bytes(100);
    const kept = await rig.upload(ada, body);
    const place = (name: string) => `users/${ada}/scene/${randomUUID()}/${name}`;
    const lost = place("lost");
    const foreign = `users/${ada}/notes.txt`;
    for (const key of [lost, foreign]) await rig.storage.objects.putEmpty(key, "application/zip");
    const open = await rig.storage.uploads.open(place("open"), "application/zip", false);
    const patient = await rig.files.sweep();
    expect(patient.orphans, "young ones may be of a row that is not written yet").to.equal(0);
    const hasty = rig.another({ with: { orphanAgeMs: -10_000 } });
    // One search goes through the bucket page by page, and begins anew after an empty one.
    expect((await hasty.sweep()).orphans + (await hasty.sweep()).orphans).to.equal(2);
    expect(await mine()).to.deep.equal([foreign, kept.objectKey].sort());
    expect(await rig.storage.uploads.parts(open)).to.equal(undefined);
    await rig.storage.objects.remove(foreign);
  });

  it("goes through a bucket of many pages", async () => {
    const { objects } = rig.storage;
    const pages: (string | undefined)[] = [];
    const keys = Array.from({ length: 5 }, () => `users/${ada}/frame/${randomUUID()}/a`).sort();
    const paged = rig.another({
      with: { orphanAgeMs: 0 },
      storage: {
        ...rig.storage,
        objects: {
          ...objects,
          remove: async () => undefined,
          async list(_prefix, after) {
            pages.push(after);
            return keys
              .filter((key) => !after || key > after)
              .slice(0, 2)
              .map((key) => ({ key, changedAt: new Date(0) }));
          },
        },
      },
    });
    await rig.pool.query("DELETE FROM file_search");
    let found = 0;
    for (let run = 0; run < 4; run++) found += (await paged.sweep()).orphans;
    expect(found).to.equal(5);
    expect(pages).to.deep.equal([undefined, keys[1], keys[3], keys[4]]);
    await paged.sweep();
    expect(pages.at(-1), "from the beginning").to.equal(undefined);
  });

  it("two at once remove everything once, and nothing of anybody's", async () => {
    const views = await Promise.all(Array.from({ length: 10 }, () => rig.open(ada, bytes(5))));
    const kept = await rig.upload(ada, bytes(5));
    for (const { file } of views) await rig.files.remove(ada, file.id);
    await rig.pool.query("UPDATE files SET due_at = now() WHERE owner_id = $1 AND due_at IS NOT NULL", [ada]);
    await Promise.all([rig.files.sweep(), rig.another().sweep()]);
    expect(await rig.states(ada)).to.deep.equal(["ready"]);
    expect(await mine()).to.deep.equal([kept.objectKey]);
  });

  it("one file whose bytes cannot be removed holds up no other, and is tried again", async () => {
    const files = [await rig.upload(ada, bytes(5)), await rig.upload(ada, bytes(5))];
    const { objects } = rig.storage;
    const stubborn = rig.another({
      storage: {
        ...rig.storage,
        objects: { ...objects, remove: (key) => (key === files[0]!.objectKey ? Promise.reject(new Error("no")) : objects.remove(key)) },
      },
    });
    for (const { id } of files) await stubborn.remove(ada, id);
    for (const { id } of files) await rig.due(id);
    expect(await stubborn.sweep()).to.include({ removed: 1, failed: 1 });
    expect(await rig.states(ada)).to.deep.equal(["removing"]);
    expect((await rig.files.sweep()).removed).to.equal(1);
    expect(await mine()).to.deep.equal([]);
  });
});

describe("storage quotas", () => {
  const places = useStack();
  let rig: FileRig;

  before(async () => {
    rig = await fileRig(places);
  });
  after(() => rig.close());

  it("no number of uploads at once overruns them, in bytes or in files", async () => {
    for (const [limits, size, expected] of [
      [{ storage_bytes: 1_000 }, 300, 3],
      [{ storage_files: 4 }, 1, 4],
    ] as const) {
      const eve = await rig.person();
      const limited = [rig.another({ limitsOf: async () => limits }), rig.another({ limitsOf: async () => limits })];
      const tries = Array.from({ length: 16 }, (_, index) =>
        codeOf(limited[index % 2]!.open(eve, { name: "a", kind: "scene", contentType: "application/zip", size })),
      );
      const ends = await Promise.all(tries);
      expect(ends.filter((end) => end === "done")).to.have.length(expected);
      expect(ends.filter((end) => end === "storage_full")).to.have.length(16 - expected);
    }
  });

  it("what is stored is what the rows say, after anything that may happen to them", async () => {
    const eve = await rig.person();
    const body = bytes(100);
    await rig.upload(eve, body);
    const rejected = await rig.open(eve, body, { kind: "avatar", contentType: "image/png" });
    await send(rejected, body);
    expect(await codeOf(rig.files.complete(eve, rejected.file.id))).to.equal("upload_mismatch");
    const open = await rig.open(eve, body);
    await rig.files.remove(eve, open.file.id);
    await rig.open(eve, body, { size: 700 });
    expect(await rig.files.usage(eve)).to.deep.include({ files: { used: 2, limit: 10_000 } });
    expect((await rig.files.usage(eve)).bytes.used).to.equal(800);
    const { rows } = await rig.pool.query(
      `SELECT 1 FROM file_usage u FULL JOIN (SELECT owner_id, sum(size) AS bytes, count(*) AS files FROM files WHERE file_counts(state) GROUP BY owner_id) f
         USING (owner_id) WHERE coalesce(u.bytes, 0) <> coalesce(f.bytes, 0) OR coalesce(u.files, 0) <> coalesce(f.files, 0)`,
    );
    expect(rows).to.deep.equal([]);
  });
});
