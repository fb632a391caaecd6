import { access, constants, open, realpath } from "node:fs/promises";
import path from "node:path";

/** Where a program lies, by a path or a name on the PATH; undefined when it is not installed. */
export async function findProgram(name: string): Promise<string | undefined> {
  const folders = name.includes("/") ? [""] : (process.env["PATH"] ?? "").split(":").filter(Boolean);
  for (const folder of folders) {
    const file = path.resolve(folder, name);
    const there = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    // A script finds its own folder by the name it is called by; of a binary the folder is wanted where its parts are.
    if (there) return (await isScript(file)) ? file : realpath(file);
  }
  return undefined;
}

async function isScript(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer.toString("latin1") === "#!";
  } finally {
    await handle.close();
  }
}
