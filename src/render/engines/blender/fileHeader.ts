import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { Writable } from "node:stream";
import { createGunzip } from "node:zlib";
import { SceneRefused } from "../engine.ts";

/** How a scene is packed, and which Blender wrote it where that can be told without unpacking. */
export interface FileHeader {
  packing: "none" | "gzip" | "zstd";
  version?: { major: number; minor: number };
}

const MAGIC = "BLENDER";
/** A file that grows more than this when it is unpacked, and beyond PLENTY, is no scene. */
const MOST_GROWTH = 100;
const PLENTY = 512 * 2 ** 20;

/**
 * Tells a scene by its first bytes, before anything of size is done with it; what is packed with gzip is unpacked into nothing to see how
 * large it is. Files of Blender 3 and later are packed with zstd, which Blender unpacks itself, within its limits. Throws {@link SceneRefused}.
 */
export async function readFileHeader(scene: { path: string; size: number }, signal: AbortSignal): Promise<FileHeader> {
  const first = await firstBytes(scene.path, 17);
  if (first.length === 0) throw new SceneRefused("is empty");
  if (first.readUIntBE(0, Math.min(2, first.length)) === 0x1f8b) return { packing: "gzip", ...(await unpacked(scene, signal)) };
  if (first.length >= 4 && first.readUInt32LE(0) === 0xfd2fb528) return { packing: "zstd" };
  if (first.subarray(0, 4).toString("latin1") === "PK\u0003\u0004")
    throw new SceneRefused("is a zip archive: upload the .blend file itself, with everything packed into it (File > External Data)");
  return { packing: "none", ...headerOf(first) };
}

/** "BLENDER-v304…": seven letters, size of pointers, order of bytes, version; from 5.0 on "BLENDER17-01v0500". */
function headerOf(bytes: Buffer): { version: { major: number; minor: number } } {
  const text = bytes.toString("latin1");
  if (!text.startsWith(MAGIC)) throw new SceneRefused("is not a Blender file");
  const digits = /^BLENDER(?:[-_][vV](\d{3})|\d\d-\d\dv(\d{4}))/.exec(text);
  const version = Number(digits?.[1] ?? digits?.[2] ?? Number.NaN);
  if (Number.isNaN(version)) throw new SceneRefused("is a Blender file with a header that cannot be read");
  return { version: { major: Math.floor(version / 100), minor: version % 100 } };
}

async function firstBytes(file: string, count: number): Promise<Buffer> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(count), 0, count, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function unpacked({ path, size }: { path: string; size: number }, signal: AbortSignal) {
  const most = Math.max(PLENTY, size * MOST_GROWTH);
  let first = Buffer.alloc(0);
  let total = 0;
  const count = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (first.length < 17) first = Buffer.concat([first, chunk.subarray(0, 17)]);
      if (total === 0 && !first.toString("latin1").startsWith(MAGIC.slice(0, first.length)))
        return done(new SceneRefused("is not a Blender file"));
      total += chunk.length;
      done(total > most ? new SceneRefused(`is more than ${Math.round(most / 2 ** 20)} MiB when it is unpacked`) : null);
    },
  });
  try {
    await pipeline(createReadStream(path), createGunzip(), count, { signal });
  } catch (error) {
    if (signal.aborted || error instanceof SceneRefused) throw error;
    throw new SceneRefused("is damaged: it cannot be unpacked");
  }
  return headerOf(first);
}
