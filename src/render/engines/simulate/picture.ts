import sharp from "sharp";

const COLUMNS = 64;
const ROWS = 36;

/** The look of a frame: a band that wanders over a plain colour. Nothing in it depends on when, where or by whom it is made. */
function pattern(frame: number, samples: number, seed: number): Buffer {
  const pixels = Buffer.alloc(COLUMNS * ROWS * 3);
  const band = (((frame * 3 + seed) % COLUMNS) + COLUMNS) % COLUMNS;
  for (let y = 0; y < ROWS; y++) {
    for (let x = 0; x < COLUMNS; x++) {
      const at = (y * COLUMNS + x) * 3;
      const lit = (x - band + COLUMNS) % COLUMNS < 6 ? 160 : 0;
      pixels[at] = (x * 4 + seed) & 255;
      pixels[at + 1] = Math.min(255, y * 5 + lit);
      pixels[at + 2] = (frame * 17 + samples + seed * 7) & 255;
    }
  }
  return pixels;
}

/** Writes a frame as a picture of exactly this size. The library enlarges row by row, so that memory does not grow with the size. */
export async function drawPicture(picture: {
  path: string;
  format: "png" | "jpeg" | "webp";
  width: number;
  height: number;
  frame: number;
  samples: number;
  seed: number;
}): Promise<void> {
  const { path, format, width, height, frame, samples, seed } = picture;
  await sharp(pattern(frame, samples, seed), { raw: { width: COLUMNS, height: ROWS, channels: 3 } })
    .resize(width, height, { fit: "fill", kernel: "nearest" })
    .toFormat(format, format === "png" ? { compressionLevel: 6 } : { quality: 85 })
    .toFile(path);
}
