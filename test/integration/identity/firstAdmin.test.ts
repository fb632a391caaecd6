import { execFile } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import { unique } from "../../support/people.ts";
import { useStack } from "../../support/stack.ts";
import { identityRig, PASSWORD, type Rig, type Tokens } from "./harness.ts";

const command = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../../src/main/admin-create.js");
const run = promisify(execFile);

describe("the first operator", () => {
  const places = useStack({ namespace: true });
  let rig: Rig;
  before(async () => {
    rig = await identityRig(places, { worker: true });
  });
  after(() => rig.close());

  const login = (email: string, password: string) => rig.call<Tokens>("POST", "/api/auth/login", { email, password });
  const create = (...args: string[]) =>
    run(process.execPath, [command, ...args], { env: { ...process.env, DATABASE_URL: places.databaseUrl } });

  it("is there after the start, however many copies start, and keeps a password that was changed", async () => {
    await Promise.all(Array.from({ length: 5 }, () => rig.identity.ensureFirstAdmin()));
    const { rows } = await rig.pool.query<{ id: string }>("SELECT id FROM users WHERE roles @> '{admin}'");
    expect(rows.map((row) => row.id)).to.deep.equal([rig.admin.id]);
    expect((await rig.call("GET", "/api/admin/users", undefined, rig.admin.token)).status).to.equal(200);
  });

  it("npm run admin:create makes one and shows a password once", async () => {
    const email = `${unique("root")}@example.com`;
    const { stdout } = await create("--email", email.toUpperCase());
    const password = /: (\S+)\s*$/.exec(stdout)![1]!;
    expect((await login(email, password)).body.data.user.roles).to.include("admin");
    expect((await create("--email", email)).stdout).to.contain("already");
  });

  it("npm run admin:create gives the role to whoever has the address, unless he never proved it", async () => {
    const email = `${unique("squatter")}@example.com`;
    await rig.call("POST", "/api/user/register", { username: unique("sq").slice(0, 20), email, password: "the squatter's password" });
    await create("--email", email, "--password", PASSWORD);
    expect((await login(email, "the squatter's password")).status).to.equal(401);
    expect((await login(email, PASSWORD)).body.data.user.roles.sort()).to.deep.equal(["admin", "user"]);
  });

  it("npm run admin:create says what is wrong", async () => {
    for (const [args, message] of [
      [["--email", "x"], "--email"],
      [["--email", "a@example.com", "--password", "short"], "--password"],
      [["--mail", "x"], "--mail"],
    ] as const) {
      const failure = await create(...args).then(
        () => undefined,
        (error: { code: number; stderr: string }) => error,
      );
      expect(failure?.code).to.equal(1);
      expect(failure?.stderr)
        .to.contain(message)
        .and.not.match(/\n +at /);
    }
  });
});
