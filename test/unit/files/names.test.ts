import { expect } from "chai";
import fc from "fast-check";
import { contentDisposition, keptName, keyName, nameProblem } from "../../../src/files/names.ts";
import { partSizeFor, partsOf } from "../../../src/files/parts.ts";
import { beginsAs } from "../../../src/files/rules.ts";

const MB = 1024 * 1024;
const anyText = fc.string({ unit: "binary", maxLength: 400 });

describe("names of files", () => {
  const taken = [
    "scene.blend",
    "名前.blend",
    "été – final (2).zip",
    "👨‍👩‍👧‍👦.png",
    "مشهد.blend",
    ".hidden",
    "a..b",
    "x".repeat(255),
    "💩".repeat(255),
  ];
  for (const name of taken) it(`takes ${name.slice(0, 40)}`, () => expect(nameProblem(name)).to.equal(undefined));

  const refused: [string, string][] = [
    ["", "empty"],
    [".", "dots"],
    ["...", "dots"],
    ["../x", "must not contain /"],
    ["a\\b", "must not contain /"],
    ["a\u0000", "control"],
    ["a\r\nSet-Cookie: x", "control"],
    ["a\u2028b", "control"],
    ["a\u0085b", "control"],
    ["a\uDC00", "control"],
    ["a\u202Egpj.exe", "direction"],
    ["x".repeat(256), "255"],
  ];
  for (const [name, why] of refused) it(`refuses ${JSON.stringify(name.slice(0, 40))}`, () => expect(nameProblem(name)).to.contain(why));

  const keys: [string, string][] = [
    ["scene.blend", "scene.blend"],
    ["my scene (2).blend", "my_scene_2_.blend"],
    ["..", "file"],
    ["../../etc/passwd", "etc_passwd"],
    ["-rf", "rf"],
    ["🚀", "file"],
    ["名前.blend", "名前.blend"],
    ["a/../../b", "a_._._b"],
    ["x".repeat(300) + ".blend", "x".repeat(114) + ".blend"],
    ["名".repeat(300) + ".blend", "名".repeat(38) + ".blend"],
  ];
  for (const [name, key] of keys) it(`makes ${key.slice(0, 30)} of ${name.slice(0, 30)}`, () => expect(keyName(name)).to.equal(key));

  it("whatever the name, the last part of the key is short and no path", () => {
    fc.assert(
      fc.property(anyText, (name) => {
        const key = keyName(name);
        expect(key).to.match(/^[\p{L}\p{M}\p{N}][\p{L}\p{M}\p{N}._-]*$/u);
        expect(key).to.not.contain("..");
        expect(Buffer.byteLength(key)).to.be.at.most(120);
      }),
      { numRuns: 2_000 },
    );
  });

  it("whatever the name, the header of a download is one line of ASCII that carries it whole", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const name = keptName(text);
        fc.pre(nameProblem(name) === undefined);
        const header = contentDisposition(name, "attachment");
        const [, plain, encoded] =
          /^attachment; filename="([^"\\%;/]*)"; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]*)$/.exec(header) ?? [];
        expect(plain, header).to.match(/^[\x20-\x7e]*$/);
        expect(decodeURIComponent(encoded!)).to.equal(name);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("parts of files", () => {
  it("whatever the size, they are the file, in at most 100 pieces, all but the last of one size", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5 * 1024 * 1024 * MB }), fc.integer({ min: 5, max: 5_000 }), (size, configured) => {
        const partSize = partSizeFor(size, configured * MB);
        const parts = partsOf(size, partSize);
        expect(parts.reduce((sum, part) => sum + part.size, 0)).to.equal(size);
        expect(parts.map(({ number }) => number)).to.deep.equal(parts.map((_, index) => index + 1));
        expect(parts.slice(0, -1).every((part) => part.size === partSize)).to.equal(true);
        expect(parts.length).to.be.within(1, 100);
        expect(parts.at(-1)!.size).to.be.at.most(partSize);
        if (size > 0) expect(parts.at(-1)!.size).to.be.greaterThan(0);
      }),
    );
  });
});

describe("pictures", () => {
  it("are known by their first bytes", () => {
    const head = (text: string) => Buffer.from(text, "latin1");
    expect(beginsAs("image/png", head("\x89PNG\r\n\x1a\n...."))).to.equal(true);
    expect(beginsAs("image/png", head("<svg onload=x>"))).to.equal(false);
    expect(beginsAs("image/webp", head("RIFF....WEBPVP8 "))).to.equal(true);
    expect(beginsAs("image/jpeg", head("\xff\xd8\xff\xe0"))).to.equal(true);
    expect(beginsAs("image/jpeg", head(""))).to.equal(false);
    expect(beginsAs("application/zip", head("anything"))).to.equal(true);
  });
});
