import { onPath } from "./find.ts";
import { cachedProgram, goInstall } from "./go-program.ts";
import { PartMissing } from "./part.ts";
import type { Reporter } from "./report.ts";
import { lastLines } from "./run.ts";

const S3_PACKAGE = "github.com/versity/versitygw/cmd/versitygw@v1.8.0";

/** `TOLLKEEPER_S3_BIN`, then `versitygw` on PATH, the cache, or a build with Go; throws {@link PartMissing} with what to do. */
export async function findS3Server(env: NodeJS.ProcessEnv, report: Reporter): Promise<string> {
  const present = env["TOLLKEEPER_S3_BIN"] || onPath("versitygw");
  if (present) return present;
  const found = await cachedProgram("versitygw", env, [goInstall({ part: "s3", package: S3_PACKAGE, env, report })]);
  if (typeof found === "string") return found;
  throw new PartMissing(
    "An S3 server was not found on this machine and could not be built: files cannot be stored until there is one.\n" +
      "Install Go 1.25 or later, or versitygw (https://github.com/versity/versitygw), or set S3_ENDPOINT, S3_ACCESS_KEY_ID and\n" +
      `S3_SECRET_ACCESS_KEY.\n${found.map((result) => lastLines(result.output, 3)).join("\n")}`,
  );
}
