import { expect } from "chai";
import { createHash, randomBytes } from "node:crypto";
import { customer, operator, register, request, type Person } from "../support/people.ts";
import { product, type Product, waitFor } from "../support/stack.ts";

interface Opened {
  file_id: string;
  upload_url?: string;
  headers?: Record<string, string>;
  parts?: { number: number; url: string }[];
  part_size?: number;
}
interface FileView {
  id: string;
  status: string;
  size: number;
  sha256: string | null;
}

const MB = 1024 * 1024;
const sha256 = (body: Buffer) => createHash("sha256").update(body).digest("hex");

describe("files over HTTP", () => {
  let where: Product;
  let ada: Person;

  before(async () => {
    where = await product();
    ada = await customer(where, await operator(where));
  });

  const declared = (body: Buffer) => ({ name: "scène 1.blend", size: body.length, content_type: "application/x-blender", kind: "scene" });

  it("a scene is uploaded, finished, found, downloaded and deleted", async () => {
    const body = randomBytes(50_000);
    const opened = await ada.call<Opened>("POST", "/api/files/uploads", { ...declared(body), sha256: sha256(body) });
    expect(opened.status).to.equal(201);
    const { file_id: id, upload_url: url, headers } = opened.body.data;
    expect((await ada.call("POST", `/api/files/${id}/complete`, {})).body.error).to.deep.include({ code: "upload_incomplete" });
    expect((await fetch(url!, { method: "PUT", body, headers: headers! })).status).to.equal(200);
    const done = await ada.call<FileView>("POST", `/api/files/${id}/complete`);
    expect([done.status, done.body.data.status]).to.deep.equal([200, "ready"]);
    expect(await ada.get(`/api/files/${id}`)).to.deep.include({ id, size: 50_000, sha256: sha256(body), name: "scène 1.blend" });
    expect(await ada.get(`/api/files/${id}/exists`)).to.deep.equal({ exists: true, status: "ready" });
    expect((await ada.get<{ items: FileView[] }>("/api/files?kind=scene&status=ready")).items.map((file) => file.id)).to.deep.equal([id]);
    const download = await ada.get<{ url: string; expires_at: string }>(`/api/files/${id}/download`);
    expect(Date.parse(download.expires_at)).to.be.greaterThan(Date.now());
    expect(sha256(Buffer.from(await (await fetch(download.url)).arrayBuffer()))).to.equal(sha256(body));
    expect(await ada.get("/api/files/usage")).to.deep.include({ files: { used: 1, limit: 20_000 } });
    expect((await ada.call("HEAD", `/api/files/${id}`)).status).to.equal(200);
    expect((await ada.call("DELETE", `/api/files/${id}`)).status).to.equal(204);
    expect((await ada.call("GET", `/api/files/${id}`)).status).to.equal(404);
    expect((await fetch(download.url)).status, "the bytes too").to.equal(404);
  });

  it("a large scene with a sha256 is read by a workflow before it is ready", async function () {
    this.timeout(120_000);
    const body = randomBytes(65 * MB);
    const {
      file_id: id,
      parts,
      part_size: size,
    } = await ada.post<Opened>("/api/files/uploads", { ...declared(body), sha256: sha256(body) });
    expect([parts!.length, size]).to.deep.equal([2, 64 * MB]);
    for (const { number, url } of parts!) {
      const part = body.subarray((number - 1) * size!, number * size!);
      expect((await fetch(url, { method: "PUT", body: part })).status).to.equal(200);
    }
    const done = await ada.call<FileView>("POST", `/api/files/${id}/complete`, { parts: [{ number: 1 }, { number: 2 }] });
    expect([200, 202]).to.include(done.status);
    await waitFor(async () => (await ada.get<FileView>(`/api/files/${id}`)).status === "ready", {
      timeoutMs: 60_000,
      message: "the check",
    });
  });

  it("no file is there for anybody else, on any route of the document", async () => {
    const body = randomBytes(10);
    const { file_id: id } = await ada.post<Opened>("/api/files/uploads", declared(body));
    const bob = await register(where);
    const document = (await (await fetch(`${where.api}/openapi.json`)).json()) as { paths: Record<string, Record<string, unknown>> };
    const paths = Object.entries(document.paths).filter(([path]) => path.startsWith("/api/files/"));
    const ofOne = paths
      .flatMap(([path, methods]) => Object.keys(methods).map((method) => [method.toUpperCase(), path] as const))
      .filter(([, path]) => path.includes("{id}"));
    expect(ofOne.length).to.be.greaterThan(5);
    for (const [method, path] of ofOne) {
      const one = path.replace("{id}", id);
      expect((await bob.call(method, one)).status, `${method} ${path}`).to.equal(404);
      expect((await request(where.api, method, one)).status, `${method} ${path}`).to.equal(401);
    }
    expect((await bob.get<{ total: number }>("/api/files")).total).to.equal(0);
  });

  it("says which name, size, type or kind cannot be taken", async () => {
    const good = declared(Buffer.alloc(5));
    const bad: [string, object, number, string][] = [
      ["a path", { name: "../../etc/passwd" }, 400, "validation_failed"],
      ["dots", { name: ".." }, 400, "validation_failed"],
      ["control characters", { name: "a\u0000b\nc" }, 400, "validation_failed"],
      ["300 characters", { name: "x".repeat(300) }, 400, "validation_failed"],
      ["turned text", { name: "gpj.\u202Eexe" }, 400, "validation_failed"],
      ["half a character", { name: "a\uD800b" }, 400, "validation_failed"],
      ["less than nothing", { size: -1 }, 400, "validation_failed"],
      ["half a byte", { size: 1.5 }, 400, "validation_failed"],
      ["far too much", { size: 2 ** 43 }, 400, "validation_failed"],
      ["too much", { size: 11 * 1024 * MB }, 413, "payload_too_large"],
      ["a page", { content_type: "text/html" }, 415, "unsupported_media_type"],
      ["no type", { content_type: "blend" }, 400, "validation_failed"],
      ["a result", { kind: "frame" }, 400, "validation_failed"],
      ["no checksum", { sha256: "abc" }, 400, "validation_failed"],
      ["a place", { key: "users/other/x" }, 400, "validation_failed"],
    ];
    for (const [what, change, status, code] of bad) {
      const answer = await ada.call("POST", "/api/files/uploads", { ...good, ...change });
      expect([answer.status, answer.body.error?.code], what).to.deep.equal([status, code]);
    }
    for (const name of ["名前 été 🚀.blend", "a b;c&d=e'f\"g", "ﷺ", "x".repeat(255), "💩".repeat(255)]) {
      const { file_id: id, upload_url: url, headers } = await ada.post<Opened>("/api/files/uploads", { ...good, name });
      expect((await fetch(url!, { method: "PUT", body: "12345", headers: headers! })).status, name).to.equal(200);
      await ada.post(`/api/files/${id}/complete`);
      const { url: from } = await ada.get<{ url: string }>(`/api/files/${id}/download`);
      expect(await (await fetch(from)).text(), name).to.equal("12345");
    }
  });

  it("a tier's storage is what its operator says", async () => {
    const admin = await operator(where);
    const eve = await customer(where, admin);
    await admin.patch(`/api/admin/users/${eve.id}`, { limits: { storage_bytes: 1_000, storage_files: 2 } });
    const open = (size: number) => eve.call<Opened>("POST", "/api/files/uploads", { ...declared(Buffer.alloc(0)), size });
    const full = await open(1_001);
    expect([full.status, full.body.error?.code]).to.deep.equal([403, "storage_full"]);
    const first = await open(600);
    expect((await open(401)).status).to.equal(403);
    expect((await open(400)).status).to.equal(201);
    expect((await open(0)).body.error).to.deep.include({ code: "storage_full", details: { used: 2, limit: 2, of: "files" } });
    await eve.call("DELETE", `/api/files/${first.body.data.file_id}`);
    expect((await open(600)).status).to.equal(201);
  });
});
