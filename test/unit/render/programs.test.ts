import { expect } from "chai";
import { Readable } from "node:stream";
import { once } from "node:events";
import { commandOf, type Program } from "../../../src/render/process/command.ts";
import { readLines } from "../../../src/render/process/lines.ts";
import { limitReason, type Limit } from "../../../src/render/process/limits.ts";

const limits = { wallMs: 60_000, cpuSeconds: 130, memory: 2 ** 30, output: 2 ** 20, files: 100, processes: 10, boundAddresses: true };
const program: Program = {
  file: "/opt/kettle/bin/kettle",
  arguments: ({ work, given }) => ["--in", given["scene"]!, "--out", `${work}/picture`],
  given: { scene: "/var/scenes/1/scene.blend" },
  limits,
};
const means = { bwrap: "/usr/bin/bwrap", prlimit: "/usr/bin/prlimit", setpriv: "/usr/bin/setpriv" };

describe("the command of an untrusted program", () => {
  const line = (given: Partial<typeof means>, uid?: number, more: Partial<Program> = {}) => {
    const { file, args } = commandOf({ ...program, ...more }, given, { folder: "/var/rooms/7", uid });
    return [file, ...args].join(" ");
  };

  it("shuts it in: nothing to reach, nothing to write but its folder, nothing to read but programs and what it is given", () => {
    const words = line(means, 1_900_000_000);
    for (const part of ["--unshare-net", "--unshare-pid", "--die-with-parent", "--new-session", "--remount-ro / ", "--ro-bind /usr /usr"])
      expect(words).to.include(part);
    expect(words.match(/--bind \S+ \S+/g)).to.deep.equal([
      "--bind /var/rooms/7 /work",
      "--bind /var/rooms/7/tmp /tmp",
      "--bind /var/rooms/7/shm /dev/shm",
    ]);
    expect(words).to.include("--ro-bind /var/scenes/1/scene.blend /given/scene.blend");
    expect(words).to.include("--perms 0755 --dir /opt --perms 0755 --dir /opt/kettle --ro-bind-try /opt/kettle/bin /opt/kettle/bin");
    expect(words).to.not.match(/--(ro-)?bind(-try)? (\/home|\/var|\/root|\/etc|\/) /);
    expect(words).to.match(/ \/opt\/kettle\/bin\/kettle --in \/given\/scene.blend --out \/work\/picture$/);
  });

  it("runs it as a user of its own where we may choose, else in a namespace of users, always without any rights", () => {
    const chosen = line(means, 1_900_000_000);
    expect(chosen).to.include(
      "setpriv --no-new-privs --reuid=1900000000 --regid=1900000000 --clear-groups --inh-caps=-all --bounding-set=-all",
    );
    expect(chosen).to.not.include("--unshare-user");
    const ours = line(means);
    expect(ours).to.include("--unshare-user --cap-drop ALL");
    expect(ours).to.not.include("--reuid");
  });

  it("limits what one process may use, and its addresses only where drivers do not reserve more than there is", () => {
    expect(line(means)).to.include("prlimit --cpu=130:135 --fsize=1048576 --nofile=1024 --nproc=1024 --core=0 --as=6442450944 -- ");
    expect(line(means, undefined, { limits: { ...limits, boundAddresses: false } })).to.not.include("--as=");
  });

  it("names the places of this machine where it cannot be shut in", () => {
    const words = line({ prlimit: means.prlimit, setpriv: means.setpriv });
    expect(words).to.match(/^\/usr\/bin\/setpriv --pdeathsig KILL --no-new-privs -- \/usr\/bin\/prlimit /);
    expect(words).to.match(/ --in \/var\/scenes\/1\/scene.blend --out \/var\/rooms\/7\/picture$/);
  });

  it("hands on no environment but a few words of its own", () => {
    process.env["SECRET_OF_THE_NODE"] = "x";
    const { environment } = commandOf({ ...program, environment: { KETTLE: "1" } }, means, { folder: "/var/rooms/7" });
    delete process.env["SECRET_OF_THE_NODE"];
    expect(environment).to.deep.equal({
      PATH: "/usr/local/bin:/usr/bin:/bin",
      HOME: "/work/home",
      TMPDIR: "/work/tmp",
      LANG: "C.UTF-8",
      KETTLE: "1",
    });
  });

  it("lets it reach the network, or more folders, only where it is told so", () => {
    const open = line(means, undefined, { network: true, folders: ["/var/opt/kettle"] });
    expect(open).to.not.include("--unshare-net");
    expect(open).to.include("--ro-bind-try /var/opt/kettle /var/opt/kettle").and.include("--ro-bind-try /etc/resolv.conf /etc/resolv.conf");
    expect(line(means)).to.not.include("resolv.conf");
  });

  it("lets it use devices only where it is told which", () => {
    expect(line(means)).to.not.include("--dev-bind");
    expect(line(means, undefined, { devices: ["/dev/dri"] })).to.include("--dev-bind-try /dev/dri /dev/dri --ro-bind-try /sys /sys");
  });
});

describe("what an untrusted program prints", () => {
  async function linesOf(chunks: (string | Buffer)[]): Promise<string[]> {
    const lines: string[] = [];
    const stream = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
    readLines(stream, (line) => void lines.push(line));
    await once(stream, "end");
    return lines;
  }

  it("is read by lines, wherever it is cut, without control characters", async () => {
    const euro = Buffer.from("€ 5\n");
    expect(await linesOf(["one\ntw", "o\r\nthree\rfour\n\n", euro.subarray(0, 1), euro.subarray(1), "a\u0000b\u001b[31mc"])).to.deep.equal([
      "one",
      "two",
      "three",
      "four",
      "€ 5",
      "a b [31mc",
    ]);
  });

  it("is cut where a line is long, also one without an end", async () => {
    const lines = await linesOf([..."x".repeat(500)].map(() => "y".repeat(10_000)));
    expect(lines.map(({ length }) => length)).to.deep.equal([2_000]);
  });
});

describe("a limit of an untrusted program", () => {
  it("is named to the owner of the scene", () => {
    const words = (limit: Limit) => limitReason(limit, limits);
    expect(words("time")).to.equal("took longer than 60 s");
    expect(words("cpu")).to.equal("took more than 130 s of processor time");
    expect(words("memory")).to.equal("needed more than 1024 MiB of memory");
    expect(words("output")).to.equal("wrote more than 1 MiB");
    expect(words("files")).to.equal("made more than 100 files");
    expect(words("processes")).to.equal("started more than 10 processes");
  });
});
