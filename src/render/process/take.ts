import { constants, createWriteStream } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { pipeline } from "node:stream/promises";

/** What a program was to make is not there, or is no plain file, or is too large; the message says which. */
export class NotTaken extends Error {
  override readonly name = "NotTaken";
}

/**
 * Copies a file that an untrusted program made; returns its size. A link is not followed: it could lead to anything on this machine.
 * Throws {@link NotTaken}.
 */
export const takeFile = (from: string, to: string, most: number): Promise<number> =>
  opened(from, most, async (handle, size) => {
    await pipeline(handle.createReadStream({ autoClose: false, end: size - 1 }), createWriteStream(to));
    return size;
  });

/** Reads a small file that an untrusted program made. Throws {@link NotTaken}. */
export const takeText = (from: string, most: number): Promise<string> =>
  opened(from, most, async (handle, size) => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, 0);
    return buffer.subarray(0, bytesRead).toString("utf8");
  });

async function opened<T>(from: string, most: number, use: (handle: FileHandle, size: number) => Promise<T>): Promise<T> {
  const handle = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error: unknown) => {
    throw new NotTaken("nothing was written", { cause: error });
  });
  try {
    const stat = await handle.stat();
    if (!stat.isFile() || stat.nlink !== 1) throw new NotTaken("what was written is no plain file");
    if (stat.size === 0) throw new NotTaken("what was written is empty");
    if (stat.size > most) throw new NotTaken(`what was written is larger than ${Math.round(most / 2 ** 20)} MiB`);
    return await use(handle, stat.size);
  } finally {
    await handle.close();
  }
}
