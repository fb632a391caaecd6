import { expect } from "chai";
import { z } from "zod";
import { requestIdOf } from "../../../src/http/trace.ts";
import { toAppError } from "../../../src/http/errorHandler.ts";
import { validate } from "../../../src/http/validate.ts";
import { AppError, type FieldProblem } from "../../../src/platform/errors.ts";

const schema = z.strictObject({
  name: z.string().max(5),
  limits: z.strictObject({ max_parallel: z.number().int().positive() }).optional(),
});

function problems(value: unknown): FieldProblem[] {
  try {
    validate(schema, value, "body");
    return [];
  } catch (error) {
    expect(error).to.be.instanceOf(AppError);
    return (error as AppError).details as FieldProblem[];
  }
}

describe("input", () => {
  it("is parsed into what the schema says", () => {
    expect(validate(schema, { name: "ada" }, "body")).to.deep.equal({ name: "ada" });
  });

  const bad: [string, unknown, string][] = [
    ["a missing field", {}, "name"],
    ["an unknown field", { name: "a", color: 1 }, "color"],
    ["an unknown inner field", { name: "a", limits: { max_parallel: 1, x: 1 } }, "limits.x"],
    ["a wrong inner value", { name: "a", limits: { max_parallel: -1 } }, "limits.max_parallel"],
    ["a NUL character", { name: "a\u0000" }, "name"],
    ["a NUL character in a name", { "na\u0000me": "a" }, "na?me"],
    ["half a surrogate pair", { name: "\ud800" }, "name"],
    ["no object at all", null, "body"],
    ["100,000 levels", JSON.parse(`{"name":${"[".repeat(100_000)}${"]".repeat(100_000)}}`), `name${".0".repeat(31)}`],
  ];
  for (const [what, value, field] of bad) {
    it(`with ${what} is refused and names ${field}`, () => {
      expect(problems(value).map((problem) => problem.field)).to.include(field);
    });
  }
});

describe("X-Request-ID", () => {
  it("is the caller's when it is a sane one, else a new one", () => {
    for (const sane of ["req-12345678", "abc-123", "1"]) expect(requestIdOf(sane)).to.equal(sane);
    for (const odd of [undefined, "", "a/b", "a b c d e f g h", "x".repeat(200), "a\r\nb: c: d e"]) {
      expect(requestIdOf(odd)).to.match(/^[0-9a-f-]{36}$/);
    }
  });
});

describe("errors", () => {
  const known: [string, unknown, number][] = [
    ["a body that is too large", { type: "entity.too.large" }, 413],
    ["a body that is not JSON", { type: "entity.parse.failed" }, 400],
    ["a path that cannot be decoded", new URIError("x"), 400],
    ["a lost database", { code: "ECONNREFUSED" }, 503],
    ["a database that shuts down", { code: "57P01" }, 503],
    ["a lost database behind Sequelize", { name: "SequelizeConnectionRefusedError" }, 503],
    ["anything else", new Error("x"), 500],
  ];
  for (const [what, thrown, status] of known) {
    it(`from ${what} are ${status}`, () => {
      expect(toAppError(thrown).status).to.equal(status);
    });
  }
});
