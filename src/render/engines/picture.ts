import { open } from "node:fs/promises";
import sharp from "sharp";
import { NotTaken, takeFile } from "../process/index.ts";
import { FrameFailed, type FrameJob } from "./engine.ts";

/** Formats of pictures that renderers write. */
export const CONTENT_TYPES = { png: "image/png", jpeg: "image/jpeg", exr: "image/x-exr" } as const;
export type Format = keyof typeof CONTENT_TYPES;
export const FORMATS = Object.keys(CONTENT_TYPES) as Format[];

const EXR = 0x762f3101;

/** Takes a picture out when it is one, of the format and size that were asked for. Throws {@link FrameFailed}. */
export async function takePicture(
  renderer: string,
  from: string,
  { outputPath, format, width, height }: Pick<FrameJob, "outputPath" | "format" | "width" | "height">,
  most: number,
): Promise<void> {
  const refuse = (reason: string, cause?: unknown) => new FrameFailed({ retry: false, reason: `${renderer} made ${reason}`, cause });
  try {
    await takeFile(from, outputPath, most);
  } catch (error) {
    throw error instanceof NotTaken ? refuse(`no picture: ${error.message}`, error) : error;
  }
  const asked = format === "exr" ? "exr" : `${format} of ${width} × ${height}`;
  const seen = format === "exr" ? await exrOf(outputPath) : await pictureOf(outputPath);
  if (seen !== asked) throw refuse(`${seen ?? "something else"} in place of ${asked}`);
}

/** Its size is not read: nothing here reads that format but renderers. */
async function exrOf(file: string): Promise<string | undefined> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return bytesRead === 4 && buffer.readUInt32BE(0) === EXR ? "exr" : undefined;
  } finally {
    await handle.close();
  }
}

const pictureOf = (file: string): Promise<string | undefined> =>
  sharp(file, { limitInputPixels: false })
    .metadata()
    .then(
      ({ format, width, height }) => `${format} of ${width} × ${height}`,
      () => undefined,
    );
