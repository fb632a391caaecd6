import { expect } from "chai";
import { createHash } from "node:crypto";
import { isSum } from "../../../src/platform/storage/index.ts";

const digest = (body: Buffer | string) => createHash("sha256").update(body).digest();

describe("what S3 says of a checksum", () => {
  const sum = digest("abc");
  const hex = sum.toString("hex");
  const cases: [string, string | undefined, boolean | undefined][] = [
    ["that of the whole object", sum.toString("base64"), true],
    ["that of another one", digest("abd").toString("base64"), false],
    ["that of one part", `${digest(sum).toString("base64")}-1`, true],
    ["that of one other part", `${digest(digest("abd")).toString("base64")}-1`, false],
    ["that of several parts, which tells nothing", `${digest(sum).toString("base64")}-2`, undefined],
    ["nothing", undefined, undefined],
    ["something else", "AAAAAA==", undefined],
  ];
  for (const [what, checksum, expected] of cases) it(what, () => expect(isSum(checksum, hex)).to.equal(expected));
});
