import { parse } from "csv-parse/sync";
import { expect } from "chai";
import fc from "fast-check";
import { columnsOf, csvCell, csvFile } from "../../../src/http/csv.ts";

describe("CSV", () => {
  it("a cell is never a formula, and reads back as what it was", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("=", "+", "-", "@", "\t", "\r", "\n", '"', ",", "'", " ", "a", "＝", "é") }),
        (text) => {
          const cell = csvCell(text);
          const [[read]] = parse(`${cell}\r\n`, { relax_column_count: true, skip_empty_lines: false, record_delimiter: "\r\n" }) as [
            [string],
          ];
          expect(read ?? "").to.be.oneOf([text, `'${text}`]);
          expect(read ?? "").not.to.match(/^[=+\-@\t\r\n＝＋－＠]/);
        },
      ),
    );
  });

  it("a figure of our own stays as it is, negative ones too", () => {
    expect(csvCell("-93.5", true)).to.equal("-93.5");
    expect(csvCell("-93.5")).to.equal("'-93.5");
    expect([csvCell(null), csvCell(0), csvCell(true), csvCell(new Date(0))]).to.deep.equal(["", "0", "true", "1970-01-01T00:00:00.000Z"]);
  });

  it("a file has its heading once, whatever its pages", async () => {
    async function* pages(...given: { a: string; b: object | null }[][]) {
      yield* given;
    }
    const columns = columnsOf<{ a: string; b: object | null }>(["a", "b"], ["a"]);
    const whole = async (source: AsyncIterable<string>) => {
      let text = "";
      for await (const part of source) text += part;
      return text;
    };
    expect(await whole(csvFile(columns, pages()))).to.equal("a,b\r\n");
    expect(await whole(csvFile(columns, pages([{ a: "=1", b: null }], [{ a: "2", b: { images: 1 } }])))).to.equal(
      `a,b\r\n'=1,\r\n2,"{""images"":1}"\r\n`,
    );
    expect(await whole(csvFile(columns, pages(), { bom: true }))).to.equal("\uFEFFa,b\r\n");
  });
});
