import { mkdir, open, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { fileName } from "./names.ts";

/** How many lines could not be written, and why the first of them could not. */
export interface Lost {
  lost: number;
  error?: unknown;
}

/** Personal data: nobody else on the machine reads it. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const NEWLINE = 10;

/** What is to be added to one user's file of one day. Each line ends with a newline. */
export interface Addition {
  folder: string;
  day: string;
  lines: string[];
}

/** The files that this process writes; no other process writes them, so lines never mix. */
export interface LineFiles {
  /** Adds lines; resolves with how many could not be written and the first reason. Never rejects. One addition per folder and day at a time. */
  add(addition: Addition): Promise<Lost>;
  /** Closes the files that were not used for the longest time, beyond the limit. Not while anything is being added. */
  tidy(): Promise<void>;
  close(): Promise<void>;
  /** Open files. */
  readonly size: number;
}

interface OpenFile {
  handle: FileHandle;
  part: number;
  bytes: number;
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === "ENOENT";

/** Opens a file to add to it, making its folder when it is not there. */
async function openFile(file: string): Promise<FileHandle> {
  try {
    return await open(file, "a+", FILE_MODE);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await mkdir(path.dirname(file), { recursive: true, mode: FOLDER_MODE });
    return open(file, "a+", FILE_MODE);
  }
}

/** Whether the last line of an open file is whole. */
async function endsWell(handle: FileHandle, bytes: number): Promise<boolean> {
  if (bytes === 0) return true;
  const last = Buffer.alloc(1);
  await handle.read(last, 0, 1, bytes - 1);
  return last[0] === NEWLINE;
}

/** Writes all of it, or says how many bytes it could write. */
async function writeAll(handle: FileHandle, bytes: Buffer): Promise<{ written: number; error?: unknown }> {
  let written = 0;
  try {
    while (written < bytes.length) written += (await handle.write(bytes, written)).bytesWritten;
    return { written };
  } catch (error) {
    return { written, error };
  }
}

/** `writer` names this process among all that write below `dir`; `maxBytes` of a file, `maxOpen` files at once. */
export function createLineFiles(options: { dir: string; writer: string; maxBytes: number; maxOpen: number }): LineFiles {
  const { dir, writer, maxBytes, maxOpen } = options;
  // Of a Map the first key is the one that was put in longest ago.
  const files = new Map<string, OpenFile>();

  const pathOf = ({ folder, day }: Addition, part: number): string => path.join(dir, folder, fileName(day, writer, part));

  /** Goes on where this process stopped when the file was closed; behind a line that broke off, with the next file. */
  async function reopen(to: Addition): Promise<OpenFile> {
    let part = 1;
    while (
      await stat(pathOf(to, part + 1)).then(
        () => true,
        () => false,
      )
    )
      part += 1;
    for (; ; part += 1) {
      const handle = await openFile(pathOf(to, part));
      try {
        const { size: bytes } = await handle.stat();
        if (await endsWell(handle, bytes)) return { handle, part, bytes };
      } catch (error) {
        await handle.close().catch(() => undefined);
        throw error;
      }
      await handle.close();
    }
  }

  async function fileFor(key: string, to: Addition): Promise<OpenFile> {
    const known = files.get(key);
    if (!known) {
      const file = await reopen(to);
      files.set(key, file);
      return file;
    }
    files.delete(key);
    files.set(key, known);
    return known;
  }

  async function forget(key: string): Promise<void> {
    const file = files.get(key);
    files.delete(key);
    await file?.handle.close().catch(() => undefined);
  }

  /** As many of the lines from `from` on as the file has room for, at least one in an empty one. */
  function fitting(lines: string[], from: number, bytes: number): { text: Buffer; until: number } {
    let until = from;
    let length = bytes;
    while (until < lines.length) {
      const next = Buffer.byteLength(lines[until]!);
      if (length > 0 && length + next > maxBytes) break;
      length += next;
      until += 1;
    }
    return { text: Buffer.from(lines.slice(from, until).join("")), until };
  }

  async function add(to: Addition): Promise<Lost> {
    const key = `${to.folder}/${to.day}`;
    const { lines } = to;
    let done = 0;
    try {
      while (done < lines.length) {
        const file = await fileFor(key, to);
        const { text, until } = fitting(lines, done, file.bytes);
        if (until === done) {
          const next = await openFile(pathOf(to, file.part + 1));
          await file.handle.close().catch(() => undefined);
          files.set(key, { handle: next, part: file.part + 1, bytes: 0 });
          continue;
        }
        const { written, error } = await writeAll(file.handle, text);
        file.bytes += written;
        if (error !== undefined) {
          // The next one to write looks at how it ends.
          await forget(key);
          return { lost: lines.length - done - wholeLines(text, written), error };
        }
        done = until;
      }
      return { lost: 0 };
    } catch (error) {
      return { lost: lines.length - done, error };
    }
  }

  async function closeSome(keep: number): Promise<void> {
    for (const key of [...files.keys()].slice(0, Math.max(0, files.size - keep))) await forget(key);
  }

  return {
    add,
    tidy: () => closeSome(maxOpen),
    close: () => closeSome(0),
    get size() {
      return files.size;
    },
  };
}

/** How many whole lines the first bytes of a text hold. */
function wholeLines(text: Buffer, bytes: number): number {
  let lines = 0;
  for (let i = 0; i < bytes; i++) if (text[i] === NEWLINE) lines += 1;
  return lines;
}
