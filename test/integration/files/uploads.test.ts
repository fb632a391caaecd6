import { expect } from "chai";
import { useStack } from "../../support/stack.ts";
import { bytes, codeOf, fileRig, MB, put, send, sha256, slice, type FileRig } from "./rig.ts";

describe("uploads", () => {
  const places = useStack();
  let rig: FileRig;
  let ada: string;

  before(async () => {
    rig = await fileRig(places);
    ada = await rig.person();
  });
  after(() => rig.close());

  const download = async (id: string, headers: Record<string, string> = {}) => {
    const { url } = await rig.files.download(ada, id);
    return fetch(url, { headers });
  };

  it("a small file goes straight to the storage and comes back byte by byte", async () => {
    const body = bytes(100_000);
    const view = await rig.open(ada, body);
    expect(view.single!.headers).to.deep.equal({ "content-type": "application/x-blender" });
    expect(await codeOf(rig.files.download(ada, view.file.id)), "before it is complete").to.equal("invalid_state");
    await send(view, body);
    const file = await rig.files.complete(ada, view.file.id);
    expect(file).to.include({ state: "ready", size: 100_000, sha256: null, kind: "scene" });
    expect(file.objectKey).to.equal(`users/${ada}/scene/${file.id}/scene.blend`);
    const answer = await download(file.id);
    expect(Buffer.from(await answer.arrayBuffer()).equals(body)).to.equal(true);
    expect(answer.headers.get("content-type")).to.equal("application/x-blender");
    expect(await rig.files.exists(ada, file.id)).to.deep.include({ exists: true });
  });

  it("a sha256 that was declared is checked by the storage itself", async () => {
    const body = bytes(5_000);
    const view = await rig.open(ada, body, { sha256: sha256(body) });
    const other = await put(view.single!.url, bytes(5_000), view.single!.headers);
    expect(other.status).to.equal(400);
    expect(other.text).to.contain("BadDigest");
    expect(await codeOf(rig.files.complete(ada, view.file.id))).to.equal("upload_incomplete");
    await send(view, body);
    expect(await rig.files.complete(ada, view.file.id)).to.include({ state: "ready", sha256: sha256(body) });
  });

  it("another size or type than was declared is refused by the storage", async () => {
    const body = bytes(5_000);
    const { single, file } = await rig.open(ada, body);
    expect((await put(single!.url, bytes(5_001), single!.headers)).status).to.equal(403);
    expect((await put(single!.url, bytes(4_999), single!.headers)).status).to.equal(403);
    expect((await put(single!.url, body, { "content-type": "text/html" })).status).to.equal(403);
    expect(await codeOf(rig.files.complete(ada, file.id))).to.equal("upload_incomplete");
    expect((await put(single!.url, body, single!.headers)).status).to.equal(200);
    expect((await rig.files.complete(ada, file.id)).state).to.equal("ready");
  });

  it("nobody can write to a file once it is complete, or deleted, with the URL that was for its upload", async () => {
    const body = bytes(1_000);
    const first = await rig.open(ada, body);
    await send(first, body);
    await rig.files.complete(ada, first.file.id);
    expect((await put(first.single!.url, bytes(1_000), first.single!.headers)).status).to.equal(404);
    const second = await rig.open(ada, body);
    await rig.files.remove(ada, second.file.id);
    expect((await put(second.single!.url, body, second.single!.headers)).status).to.equal(404);
  });

  it("a large file goes in parts, in any order, and can be gone on with after a break", async () => {
    const body = bytes(12 * MB + 1);
    const view = await rig.open(ada, body);
    expect(view.file.partSize).to.equal(5 * MB);
    expect(view.parts!.map(({ number }) => number)).to.deep.equal([1, 2, 3]);
    await put(view.parts![2]!.url, slice(body, 3, 5 * MB));
    await put(view.parts![0]!.url, slice(body, 1, 5 * MB));
    const error = await rig.files.complete(ada, view.file.id).catch((thrown: unknown) => thrown);
    expect(error).to.deep.include({ code: "upload_incomplete", details: { missing: [2] } });
    const again = await rig.files.resume(ada, view.file.id);
    expect(again.uploaded.map(({ number, size }) => [number, size])).to.deep.equal([
      [1, 5 * MB],
      [3, 2 * MB + 1],
    ]);
    expect(again.parts!.map(({ number }) => number)).to.deep.equal([2]);
    expect((await put(again.parts![0]!.url, bytes(1_000))).status, "another size").to.equal(403);
    await put(again.parts![0]!.url, slice(body, 2, 5 * MB));
    const etags = (await rig.files.resume(ada, view.file.id)).uploaded.map(({ number, etag }) => ({ number, etag }));
    expect(await codeOf(rig.files.complete(ada, view.file.id, [{ number: 1, etag: "other" }]))).to.equal("upload_mismatch");
    expect(await codeOf(rig.files.complete(ada, view.file.id, [{ number: 4 }]))).to.equal("upload_mismatch");
    expect((await rig.files.complete(ada, view.file.id, etags)).state).to.equal("ready");
    const answer = await download(view.file.id);
    expect(sha256(Buffer.from(await answer.arrayBuffer()))).to.equal(sha256(body));
  });

  it("a file of several parts with a sha256 is read by the worker: ready when it is as declared, gone with a reason when not", async () => {
    const body = bytes(6 * MB);
    for (const [declared, state] of [
      [sha256(body), "ready"],
      [sha256(bytes(1)), "rejected"],
    ] as const) {
      const file = await rig.upload(ada, body, { sha256: declared });
      expect(file.state).to.equal("checking");
      expect(rig.asked).to.include(file.id);
      expect(await rig.files.read(ada, file.id), "not before it was read").to.equal(undefined);
      const seen: number[] = [];
      expect(await rig.files.check(file.id, (count) => seen.push(count))).to.equal(state);
      expect(seen.at(-1)).to.equal(6 * MB);
      expect(await rig.files.check(file.id), "once more").to.equal(state);
      expect((await rig.files.find(ada, file.id)).state).to.equal(state);
      expect((await rig.objects()).includes(file.objectKey)).to.equal(state === "ready");
      if (state === "rejected") {
        expect(await codeOf(rig.files.complete(ada, file.id))).to.equal("upload_mismatch");
        expect((await rig.files.find(ada, file.id)).reason).to.contain("sha256");
      }
    }
  });

  it("a server that knows no checksums has the worker read small files too", async () => {
    const plain = rig.another({ options: { checksums: false } });
    const body = bytes(2_000);
    const declared = { name: "a.zip", kind: "scene" as const, contentType: "application/zip", size: 2_000 };
    for (const [sum, state] of [
      [sha256(body), "ready"],
      [sha256(bytes(9)), "rejected"],
    ] as const) {
      const view = await plain.open(ada, { ...declared, sha256: sum });
      expect(view.single!.headers).to.deep.equal({ "content-type": "application/zip" });
      await send(view, body);
      expect((await plain.complete(ada, view.file.id)).state).to.equal("checking");
      expect(await plain.check(view.file.id)).to.equal(state);
    }
  });

  it("a file of no bytes is a file, sent or not", async () => {
    const empty = Buffer.alloc(0);
    const sent = await rig.upload(ada, empty, { sha256: sha256(empty) });
    const { file } = await rig.open(ada, empty);
    for (const one of [sent, await rig.files.complete(ada, file.id)]) {
      expect(one).to.include({ state: "ready", size: 0 });
      const answer = await download(one.id);
      expect([answer.status, await answer.text()]).to.deep.equal([200, ""]);
      expect(await rig.files.exists(ada, one.id)).to.deep.include({ exists: true });
    }
    expect(await codeOf(rig.open(ada, empty, { sha256: sha256(bytes(1)) }))).to.equal("validation_failed");
  });

  it("ranges of a download, and its name in any script", async () => {
    const body = bytes(10_000);
    const name = "Ünïcode 名前 \"q\" 'x' 🚀;%.blend";
    const file = await rig.upload(ada, body, { name });
    expect(file.name).to.equal(name);
    const answer = await download(file.id, { range: "bytes=100-199" });
    expect(answer.status).to.equal(206);
    expect(answer.headers.get("content-range")).to.equal("bytes 100-199/10000");
    expect(Buffer.from(await answer.arrayBuffer()).equals(body.subarray(100, 200))).to.equal(true);
    const disposition = answer.headers.get("content-disposition")!;
    expect(disposition).to.match(/^attachment; filename="[\x20-\x7e]+"; filename\*=UTF-8''/);
    expect(decodeURIComponent(disposition.split("UTF-8''")[1]!)).to.equal(name);
    expect((await download(file.id, { range: "bytes=20000-" })).status).to.equal(416);
  });

  it("5 GB may be declared: parts up to the setting, no byte on our side; more than the setting is refused", async () => {
    const view = await rig.files.open(ada, { name: "big", kind: "scene", contentType: "application/zip", size: 5 * 1024 * MB });
    expect(view.parts).to.have.length(99);
    expect(view.file.partSize).to.equal(52 * MB);
    await rig.files.remove(ada, view.file.id);
    expect(await codeOf(rig.open(ada, bytes(1), { size: 6 * 1024 * MB + 1 }))).to.equal("payload_too_large");
    expect(await codeOf(rig.open(ada, bytes(1), { kind: "avatar", contentType: "image/png", size: MB + 1 }))).to.equal("payload_too_large");
    expect(await codeOf(rig.open(ada, bytes(1), { contentType: "text/html" }))).to.equal("unsupported_media_type");
    expect(await codeOf(rig.open(ada, bytes(1), { kind: "avatar", contentType: "application/zip" }))).to.equal("unsupported_media_type");
  });

  it("an avatar must be the picture it says it is", async () => {
    const png = Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), bytes(100)]);
    const declared = { kind: "avatar", contentType: "image/png", name: "me.png" } as const;
    expect((await rig.upload(ada, png, declared)).state).to.equal("ready");
    expect(await codeOf(rig.upload(ada, Buffer.from("<script>alert(1)</script>"), declared))).to.equal("upload_mismatch");
  });

  it("nothing of anybody else's exists", async () => {
    const bob = await rig.person();
    const body = bytes(10);
    const done = await rig.upload(ada, body);
    const open = (await rig.open(ada, body)).file;
    for (const id of [done.id, open.id]) {
      const ways = [
        rig.files.find(bob, id),
        rig.files.resume(bob, id),
        rig.files.complete(bob, id),
        rig.files.exists(bob, id),
        rig.files.download(bob, id),
        rig.files.remove(bob, id),
      ];
      expect(await Promise.all(ways.map(codeOf))).to.deep.equal(Array(6).fill("not_found"));
      expect(await rig.files.read(bob, id)).to.equal(undefined);
    }
    expect((await rig.files.list(bob, {}, { limit: 100, offset: 0 })).total).to.equal(0);
    expect(await rig.files.read(ada, done.id)).to.include({ id: done.id });
  });
});
