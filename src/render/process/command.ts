import { existsSync, lstatSync, readlinkSync } from "node:fs";
import path from "node:path";
import { limitArguments, type ProgramLimits } from "./limits.ts";

/** Where a program finds things: its folder, and files that it may read, by name. */
export interface Places {
  work: string;
  given: Readonly<Record<string, string>>;
}

/** An untrusted program, or one that reads what cannot be trusted. */
export interface Program {
  /** An absolute path. */
  file: string;
  arguments: (places: Places) => readonly string[];
  /** Files that it may read beside the system's programs, by a name of letters. */
  given?: Readonly<Record<string, string>>;
  /** More folders of the system that it may read; those that are not there are left out. */
  folders?: readonly string[];
  /** True for one that may reach the network. */
  network?: boolean;
  environment?: Readonly<Record<string, string>>;
  /** Devices that it may use; those that are not there are left out. */
  devices?: readonly string[];
  limits: ProgramLimits;
}

/** The means of this machine. */
export interface Means {
  /** bubblewrap, where it is there and works. */
  bwrap?: string | undefined;
  prlimit?: string | undefined;
  setpriv?: string | undefined;
}

/** How a program is to be started. */
export interface Command {
  file: string;
  args: string[];
  environment: Record<string, string>;
  cwd: string;
}

const HOME = "home";
const SCRATCH = "tmp";
const SHARED = "shm";
/** Folders that every program finds in its own. */
export const ROOMS = [HOME, SCRATCH, SHARED] as const;

/** Of /etc only what programs need to start at all: where libraries and fonts are. */
const ETC = ["/etc/alternatives", "/etc/fonts", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"];
/** Where other machines are found. */
const NAMES = ["/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf"];
const SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/**
 * The command that runs a program with its limits, and, with bubblewrap, in a world of its own: no network, no other processes, nothing of
 * this machine to read but its programs and what is given, nothing to write but its folder. With a `uid` it runs as that user.
 */
export function commandOf(program: Program, means: Means, room: { folder: string; uid?: number | undefined }): Command {
  const { bwrap, prlimit, setpriv } = means;
  const given = Object.entries(program.given ?? {});
  const inside: Places = bwrap
    ? { work: "/work", given: Object.fromEntries(given.map(([name, from]) => [name, `/given/${name}${path.extname(from)}`])) }
    : { work: room.folder, given: Object.fromEntries(given) };
  const environment = {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    HOME: path.join(inside.work, HOME),
    TMPDIR: path.join(inside.work, SCRATCH),
    LANG: "C.UTF-8",
    ...program.environment,
  };
  const line = [
    ...(setpriv ? [setpriv, ...(bwrap ? [] : ["--pdeathsig", "KILL"]), ...privileges(room.uid), "--"] : []),
    ...(prlimit ? [prlimit, ...limitArguments(program.limits), "--"] : []),
    program.file,
    ...program.arguments(inside),
  ];
  const whole = bwrap ? [bwrap, ...world(program, inside, room), "--", ...line] : line;
  return { file: whole[0]!, args: whole.slice(1), environment, cwd: room.folder };
}

/** Another user than ours where we may choose, and never more rights than at the start. */
const privileges = (uid: number | undefined): string[] => [
  "--no-new-privs",
  ...(uid === undefined ? [] : [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]),
];

const words = (line: string): string[] => line.split(" ");
const bound = (from: string, at: string): string[] => ["--bind", from, at];

const APART = words("--unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try --die-with-parent --new-session --hostname render");

/** Arguments of bubblewrap. Order matters: what comes later lies over what came before. */
function world(program: Program, inside: Places, { folder, uid }: { folder: string; uid?: number | undefined }): string[] {
  const given = Object.entries(program.given ?? {});
  return [
    // The process that leads the new world takes all others with it, whatever groups and sessions they have made.
    ...APART,
    ...(program.network ? [] : ["--unshare-net"]),
    ...(uid === undefined ? ["--unshare-user", "--cap-drop", "ALL"] : []),
    ...SYSTEM.flatMap(systemFolder),
    ...openFolder("/etc"),
    ...ETC.flatMap((file) => ["--ro-bind-try", file, file]),
    ...(program.network ? NAMES : []).flatMap((file) => ["--ro-bind-try", file, file]),
    ...words("--proc /proc --dev /dev"),
    ...(program.devices ?? []).flatMap((device) => ["--dev-bind-try", device, device]),
    ...((program.devices ?? []).length > 0 ? ["--ro-bind-try", "/sys", "/sys"] : []),
    ...bound(folder, "/work"),
    ...bound(path.join(folder, SCRATCH), "/tmp"),
    ...bound(path.join(folder, SHARED), "/dev/shm"),
    ...[...ownFolder(program.file), ...(program.folders ?? [])].flatMap(readable),
    ...openFolder("/given"),
    ...given.flatMap(([name, from]) => ["--ro-bind", from, inside.given[name]!]),
    ...words("--remount-ro /dev --remount-ro / --chdir /work"),
  ];
}

/** A folder that users other than root may look into. */
const openFolder = (folder: string): string[] => ["--perms", "0755", "--dir", folder];

function systemFolder(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return lstatSync(folder).isSymbolicLink() ? ["--symlink", readlinkSync(folder), folder] : ["--ro-bind", folder, folder];
}

/** Where a program lies that did not come with the system, such as /opt/blender-4.2. */
function ownFolder(file: string): string[] {
  const folder = path.dirname(file);
  return SYSTEM.some((system) => folder === system || folder.startsWith(`${system}/`)) ? [] : [folder];
}

/** A folder to read, if it is there, below folders that users other than root may look into. */
function readable(folder: string): string[] {
  const above = folder
    .split("/")
    .slice(1, -1)
    .map((_, index, names) => `/${names.slice(0, index + 1).join("/")}`);
  return [...above.flatMap(openFolder), "--ro-bind-try", folder, folder];
}
