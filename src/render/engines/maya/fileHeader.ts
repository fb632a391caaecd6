import { open } from "node:fs/promises";
import { SceneRefused } from "../engine.ts";

/** A scene of Maya as its first bytes tell it. */
export interface MayaHeader {
  kind: "ma" | "mb";
  /** The year that it was saved by; binary files do not say it in a place of its own. */
  year?: number;
}

const FIRST = 16_384;

/** Tells a scene by its first bytes: text that says so, or Maya's kind of IFF. Throws {@link SceneRefused}. */
export async function readMayaHeader(file: string): Promise<MayaHeader> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(FIRST), 0, FIRST, 0);
    return headerOf(buffer.subarray(0, bytesRead).toString("latin1"));
  } finally {
    await handle.close();
  }
}

/** "//Maya ASCII 2024 scene" with `requires maya "2024";`, or FOR4 and FOR8 with the type Maya. */
export function headerOf(text: string): MayaHeader {
  if (text === "") throw new SceneRefused("is empty");
  if (text.startsWith("PK\u0003\u0004")) throw new SceneRefused("is a zip archive: upload the .ma or .mb file itself");
  if (/^FOR[48](.{4}|.{12})Maya/s.test(text)) return { kind: "mb" };
  const first = /^\/\/Maya ASCII (\d+)(?:\S*) scene/.exec(text);
  if (!first) throw new SceneRefused("is not a Maya file");
  const year = /^requires maya "(20\d\d)/m.exec(text)?.[1] ?? first[1]!;
  return { kind: "ma", year: Number(year) };
}
