import { expect } from "chai";
import type { FileDeps } from "../../../src/files/index.ts";
import type { Storage } from "../../../src/platform/storage/index.ts";
import { useStack } from "../../support/stack.ts";
import { bytes, codeOf, fileRig, MB, put, send, sha256, slice, type FileRig } from "./rig.ts";

/** A process that dies at a step: the step is done, or not begun, and nothing of the process comes after it. */
const died = new Error("the process is gone");

describe("files when things meet or break", () => {
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

  /** The storage with one of its calls replaced. */
  function storageWith(change: {
    uploads?: Partial<Storage["uploads"]>;
    objects?: Partial<Storage["objects"]>;
  }): Pick<FileDeps, "storage"> {
    const { storage } = rig;
    return {
      storage: { ...storage, uploads: { ...storage.uploads, ...change.uploads }, objects: { ...storage.objects, ...change.objects } },
    };
  }
  const mine = async (): Promise<string[]> => [...(await rig.objects()), ...(await rig.uploads())].filter((key) => key.includes(ada));
  /** Lets the time of everything come, twice: what is deleted is deleted again. */
  async function sweepAll(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      await rig.pool.query("UPDATE files SET due_at = now() - interval '1 second' WHERE owner_id = $1 AND due_at IS NOT NULL", [ada]);
      await rig.files.sweep();
    }
  }

  for (const size of [1_000, 11 * MB]) {
    it(`many completions of one upload at once come to one file (${size} bytes)`, async () => {
      const body = bytes(size);
      const view = await rig.open(ada, body, size < MB ? { sha256: sha256(body) } : {});
      await send(view, body);
      const others = [rig.files, rig.another(), rig.another()];
      const files = await Promise.all([...others, ...others].map((files) => files.complete(ada, view.file.id)));
      expect(new Set(files.map(({ etag, state, readyAt }) => `${state} ${etag} ${readyAt!.toISOString()}`)).size).to.equal(1);
      expect(files[0]!.state).to.equal("ready");
      expect((await rig.files.complete(ada, view.file.id)).readyAt).to.deep.equal(files[0]!.readyAt);
      expect(await mine()).to.deep.equal([view.file.objectKey]);
    });
  }

  it("a completion after a deletion finds nothing, and leaves nothing", async () => {
    const body = bytes(1_000);
    const view = await rig.open(ada, body);
    await send(view, body);
    await rig.files.remove(ada, view.file.id);
    expect(await codeOf(rig.files.complete(ada, view.file.id))).to.equal("not_found");
    expect(await codeOf(rig.files.remove(ada, view.file.id)), "once more").to.equal("not_found");
    expect(await mine()).to.deep.equal([]);
  });

  it("a deletion in the middle of a completion wins, whatever S3 had made by then", async () => {
    const body = bytes(1_000);
    for (const moment of ["before", "after"] as const) {
      const view = await rig.open(ada, body);
      await send(view, body);
      const slow = rig.another(
        storageWith({
          uploads: {
            async complete(upload, parts) {
              if (moment === "before") await rig.files.remove(ada, view.file.id);
              const done = await rig.storage.uploads.complete(upload, parts);
              if (moment === "after") await rig.files.remove(ada, view.file.id);
              return done;
            },
          },
        }),
      );
      expect(await codeOf(slow.complete(ada, view.file.id)), moment).to.equal("not_found");
      expect(await mine(), moment).to.deep.equal([]);
      await sweepAll();
      expect(await rig.states(ada), moment).to.deep.equal([]);
    }
  });

  it("a part that is sent again while the parts are joined is said, and the next completion takes it", async () => {
    const body = bytes(6 * MB);
    const view = await rig.open(ada, body);
    await send(view, bytes(6 * MB));
    const slow = rig.another(
      storageWith({
        uploads: {
          async complete(upload, parts) {
            await send(view, body);
            return rig.storage.uploads.complete(upload, parts);
          },
        },
      }),
    );
    expect(await codeOf(slow.complete(ada, view.file.id))).to.equal("upload_incomplete");
    const file = await rig.files.complete(ada, view.file.id);
    const { url } = await rig.files.download(ada, file.id);
    expect(sha256(Buffer.from(await (await fetch(url)).arrayBuffer()))).to.equal(sha256(body));
  });

  it("an object that S3 makes after the deletion was through goes with the next sweep", async () => {
    const body = bytes(1_000);
    const view = await rig.open(ada, body);
    await rig.files.remove(ada, view.file.id);
    await rig.storage.objects.putEmpty(view.file.objectKey, "application/zip");
    await rig.files.sweep();
    expect(await mine(), "not yet: it may be on its way still").to.have.length(1);
    await sweepAll();
    expect(await mine()).to.deep.equal([]);
    expect(await rig.states(ada)).to.deep.equal([]);
  });

  it("a deletion while parts are being sent leaves nothing", async () => {
    const body = bytes(10 * MB + 5);
    const view = await rig.open(ada, body);
    await put(view.parts![0]!.url, slice(body, 1, 5 * MB));
    const sending = put(view.parts![1]!.url, slice(body, 2, 5 * MB)).catch(() => ({ status: 0 }));
    await rig.files.remove(ada, view.file.id);
    await sending;
    // A part that arrives while its upload is aborted can bring it back at the storage, as S3's manual says.
    await put(view.parts![2]!.url, slice(body, 3, 5 * MB));
    expect(await codeOf(rig.files.complete(ada, view.file.id))).to.equal("not_found");
    await sweepAll();
    expect(await mine()).to.deep.equal([]);
    expect(await rig.files.usage(ada)).to.deep.include({ files: { used: 0, limit: 10_000 } });
  });

  it("a process that dies while it opens an upload leaves nothing that counts or stays", async () => {
    const open = rig.storage.uploads.open;
    const steps: Partial<Storage["uploads"]>[] = [
      { open: () => Promise.reject(died) },
      { open: (...args) => open(...args).then(() => Promise.reject(died)) },
    ];
    for (const uploads of steps) {
      // Nothing of the process comes after its death, the tidying of its own failure included.
      const abandoned = rig.another({ ...storageWith({ uploads }), pool: dyingPool() });
      const body = { name: "a", kind: "scene", contentType: "application/zip", size: 5 } as const;
      expect(await abandoned.open(ada, body).catch((error: unknown) => error)).to.equal(died);
      expect(await rig.states(ada)).to.deep.equal(["uploading"]);
      await sweepAll();
      expect(await rig.states(ada)).to.deep.equal([]);
      expect(await mine()).to.deep.equal([]);
    }
  });

  it("a process that dies between S3 and Postgres: the next completion goes on", async () => {
    for (const body of [bytes(1_000), bytes(6 * MB)]) {
      const view = await rig.open(ada, body, { sha256: sha256(body) });
      await send(view, body);
      const dying = rig.another(storageWith({ objects: { head: () => Promise.reject(died) } }));
      expect(await dying.complete(ada, view.file.id).catch((error: unknown) => error)).to.equal(died);
      expect((await rig.files.find(ada, view.file.id)).state).to.equal("uploading");
      const file = await rig.files.complete(ada, view.file.id);
      expect(file.state).to.equal(body.length < MB ? "ready" : "checking");
    }
  });

  it("a file whose check was lost between us and Temporal is checked after all", async () => {
    const body = bytes(6 * MB);
    const file = await rig.upload(ada, body, { sha256: sha256(body) });
    rig.asked.length = 0;
    await rig.files.sweep();
    expect(rig.asked).to.deep.equal([]);
    await rig.pool.query("UPDATE files SET created_at = now() - interval '2 minutes' WHERE id = $1", [file.id]);
    expect((await rig.files.sweep()).checks).to.equal(1);
    expect(rig.asked).to.deep.equal([file.id]);
    expect(await rig.files.check(file.id)).to.equal("ready");
  });

  it("a file that is deleted while it is read is gone", async () => {
    const body = bytes(6 * MB);
    const file = await rig.upload(ada, body, { sha256: sha256(body) });
    let removed: Promise<void> | undefined;
    expect(await rig.files.check(file.id, () => void (removed ??= rig.files.remove(ada, file.id)))).to.equal(undefined);
    await removed;
    expect(await rig.files.check(file.id)).to.equal("removing");
  });

  it("while the storage is away nothing is promised, nothing is lost, and deletions still count at once", async () => {
    const body = bytes(500);
    const kept = await rig.upload(ada, body);
    const away = rig.another({ options: { endpoint: "http://127.0.0.1:1" } });
    expect(await codeOf(away.open(ada, { name: "a", kind: "scene", contentType: "application/zip", size: 5 }))).to.equal("unavailable");
    expect(await rig.files.usage(ada)).to.deep.include({ files: { used: 1, limit: 10_000 } });
    const view = await rig.open(ada, body);
    await send(view, body);
    expect(await codeOf(away.complete(ada, view.file.id))).to.equal("unavailable");
    expect((await rig.files.complete(ada, view.file.id)).state).to.equal("ready");
    await away.remove(ada, kept.id);
    expect(await codeOf(rig.files.find(ada, kept.id))).to.equal("not_found");
    await rig.due(kept.id);
    expect(await codeOf(away.sweep())).to.equal("unavailable");
    await sweepAll();
    expect(await mine()).to.deep.equal([view.file.objectKey]);
  });

  it("without any storage there is a clear answer", async () => {
    const none = rig.another({ storage: undefined });
    expect(await codeOf(none.open(ada, { name: "a", kind: "scene", contentType: "application/zip", size: 5 }))).to.equal("unavailable");
    expect(await none.sweep()).to.deep.include({ removed: 0 });
  });

  /** A pool on which a file can be made, but nothing done after that. */
  function dyingPool(): FileDeps["pool"] {
    return new Proxy(rig.pool, {
      get(pool, name, receiver) {
        if (name === "query") return () => Promise.reject(died);
        const value = Reflect.get(pool, name, receiver) as unknown;
        return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(pool) : value;
      },
    });
  }
});
