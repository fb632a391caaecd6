import { Client, Connection } from "@temporalio/client";
import { expect } from "chai";
import { createFileActivities } from "../../../activities/files.ts";
import { createStartCheck, type Files } from "../../../src/files/index.ts";
import { startWorker, type RunningWorker } from "../../../src/main/worker-runtime.ts";
import { ensureSchedules } from "../../../temporal/schedules.ts";
import { bytes, fileRig, MB, send, sha256, type FileRig } from "../../integration/files/rig.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { noTemporal, silent } from "../../support/usage.ts";

describe("workflows of files", function () {
  this.timeout(120_000);
  const places = useStack({ namespace: true });
  let rig: FileRig;
  let connection: Connection;
  let client: Client;
  let files: Files;
  let ada: string;
  const workers: RunningWorker[] = [];

  before(async () => {
    rig = await fileRig(places);
    connection = await Connection.connect({ address: places.temporalAddress });
    client = new Client({ connection, namespace: places.namespace });
    files = rig.another({ startCheck: createStartCheck({ temporal: client, taskQueue: "billing", log: silent }) });
    ada = await rig.person();
    worker(files);
  });
  after(async () => {
    await Promise.all(workers.map((running) => running.stop()));
    await connection.close();
    await rig.close();
  });

  function worker(services: Pick<Files, "check" | "sweep">): RunningWorker {
    const running = startWorker({
      address: places.temporalAddress,
      namespace: places.namespace,
      taskQueue: "billing",
      activities: createFileActivities(services),
      client,
      graceMs: 5_000,
      log: silent,
    });
    workers.push(running);
    return running;
  }
  async function upload(declared: string): Promise<string> {
    const body = bytes(6 * MB);
    const view = await files.open(ada, {
      name: "a",
      kind: "scene",
      contentType: "application/zip",
      size: body.length,
      sha256: declared === "its own" ? sha256(body) : declared,
    });
    await send(view, body);
    await files.complete(ada, view.file.id).catch(() => undefined);
    return view.file.id;
  }
  const comesTo = (id: string, state: string) =>
    waitFor(async () => (await files.find(ada, id)).state === state, { timeoutMs: 30_000, message: `${id} to be ${state}` });

  it("read large files, several at once, and tell whose they are", async () => {
    const good = await Promise.all(Array.from({ length: 4 }, () => upload("its own")));
    const bad = await upload(sha256(bytes(1)));
    await Promise.all([...good.map((id) => comesTo(id, "ready")), comesTo(bad, "rejected")]);
    const run = client.workflow.getHandle(`file-check-${bad}`);
    expect(await run.result()).to.equal("rejected");
    expect((await run.describe()).searchAttributes["UserId"]).to.deep.equal([ada]);
  });

  it("begin a check again that was lost while Temporal was away", async () => {
    const offline = rig.another({ startCheck: createStartCheck({ temporal: noTemporal, taskQueue: "billing", log: silent }) });
    const body = bytes(6 * MB);
    const declared = { name: "a", kind: "scene", contentType: "application/zip", size: body.length, sha256: sha256(body) } as const;
    const view = await offline.open(ada, declared);
    await send(view, body);
    expect((await offline.complete(ada, view.file.id)).state).to.equal("checking");
    await rig.pool.query("UPDATE files SET created_at = now() - interval '2 minutes' WHERE id = $1", [view.file.id]);
    await ensureSchedules(client, { taskQueue: "billing", everyMs: { "file-sweep": 1_000 } });
    await comesTo(view.file.id, "ready");
  });
});
