/** How a file is cut into parts. Pure. */

/** At most so many, so that one answer can name all of them. */
const MOST_PARTS = 100;
const MB = 1024 * 1024;

export interface PlannedPart {
  /** From 1. */
  number: number;
  /** Bytes. */
  size: number;
}

/** Bytes of each part but the last: as configured, or more, in whole megabytes, for a file that would have too many. */
export function partSizeFor(size: number, configured: number): number {
  return Math.max(configured, Math.ceil(size / MOST_PARTS / MB) * MB);
}

/** The parts of a file; one, which may be empty, when it is not larger than a part. */
export function partsOf(size: number, partSize: number): PlannedPart[] {
  const count = Math.max(1, Math.ceil(size / partSize));
  return Array.from({ length: count }, (_, index) => ({ number: index + 1, size: Math.min(partSize, size - index * partSize) }));
}
