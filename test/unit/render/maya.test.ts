import { expect } from "chai";
import { SceneRefused } from "../../../src/render/engines/engine.ts";
import { mayaArguments, versionOf } from "../../../src/render/engines/maya/command.ts";
import { headerOf } from "../../../src/render/engines/maya/fileHeader.ts";
import { readLine } from "../../../src/render/engines/maya/output.ts";
import { readSettings } from "../../../src/render/engines/maya/settings.ts";

/** As Arnold and Maya print when a frame succeeds; numbers and names are made up. */
const ARNOLD_LOG = `00:00:00    52MB         | log started Sat Nov 21 20:14:02 2026
00:00:00    52MB         | Arnold 7.2.1.0 [abcdef12] linux x86_64 clang-10.0.1 oiio-2.4.1 osl-1.12.9 2023/03/15 09:00:00
00:00:01   143MB WARNING | [mtoa] Vector displacement shader is not supported
00:00:01   150MB         | rendering image at 64 x 36, 4 AA samples
00:00:02   190MB         |     0% done
00:00:03   201MB         |    45% done - 12 rays/pixel
00:00:04   205MB         |   100% done
00:00:04   205MB         | render done
00:00:04   180MB         | [driver_png] writing file '/work/pictures/picture.png'
Scene /given/scene.ma completed.`;

describe("what Maya prints", () => {
  it("says how far a frame is and what its owner should know, with Arnold", () => {
    const said = ARNOLD_LOG.split("\n").map(readLine);
    expect(said.flatMap((one) => (one.kind === "progress" ? [one.fraction] : []))).to.deep.equal([0, 0.45, 1]);
    expect(said.flatMap((one) => (one.kind === "line" ? [one] : []))).to.deep.equal([
      { kind: "line", level: "warn", text: "[mtoa] Vector displacement shader is not supported" },
    ]);
    expect(said.filter(({ kind }) => kind === "failed")).to.deep.equal([]);
  });

  it("says how far a frame is, with its own renderer", () => {
    expect(readLine("Percentage of rendering done: 45 (/work/pictures/picture.png)")).to.deep.equal({ kind: "progress", fraction: 0.45 });
  });

  it("says that it failed, also where its exit code does not", () => {
    expect(readLine("// Maya exited with status 211")).to.deep.equal({ kind: "failed", reason: "Maya exited with status 211" });
    expect(readLine("Scene /given/scene.ma failed with error code 1.")).to.deep.equal({
      kind: "failed",
      reason: "Scene scene.ma failed with error code 1",
    });
    expect(readLine("// Maya exited with status 0")).to.deep.equal({ kind: "nothing" });
    expect(readLine("00:00:01   150MB ERROR   | [mtoa] no camera to render")).to.deep.equal({
      kind: "line",
      level: "error",
      text: "[mtoa] no camera to render",
    });
    expect(readLine("Error: line 1: Cannot find file")).to.include({ kind: "line", level: "error" });
  });

  it("says that it has no licence: a picture with a watermark is none", () => {
    for (const line of [
      "Error: License was not found, licensing error",
      "00:00:00    90MB WARNING | rendering with watermarks because of failed authorization",
      "00:00:00    90MB         | [clm] License checkout failed",
    ])
      expect(readLine(line), line)
        .to.have.property("reason")
        .that.matches(/^no licence: /);
  });

  it("names its version, or lies in a folder that does", () => {
    expect(versionOf(["Maya 2024, Cut Number 202302170737"])).to.equal("2024");
    expect(versionOf(["/usr/autodesk/maya2025/bin/Render"])).to.equal("2025");
    expect(versionOf(["/usr/bin/Render", "usage: Render"])).to.equal(undefined);
  });
});

describe("the command of Maya", () => {
  const frame = { frame: 7, width: 64, height: 36, samples: 16, format: "png", threads: 2 } as const;
  const places = { work: "/work", given: { scene: "/given/scene.ma" } };
  const line = (settings: Record<string, unknown>, more = {}) =>
    mayaArguments({ ...frame, ...more, settings: readSettings(settings) })(places).join(" ");

  it("asks for one frame of one size in one folder, the scene last", () => {
    expect(line({ camera: "rig:shot|camShape" })).to.equal(
      "-r arnold -s 7 -e 7 -b 1 -x 64 -y 36 -rd /work/pictures -im picture -of png -proj /work -cam rig:shot|camShape -ai:as 4 -ai:threads 2 -ai:lve 2 /given/scene.ma",
    );
    expect(line({ renderer: "sw" }, { format: "jpeg" }))
      .to.include("-r sw ")
      .and.include("-of jpg ")
      .and.not.include("-ai:");
    expect(line({}, { samples: 1 })).to.include("-ai:as 1 ");
    expect(line({}, { samples: 17 })).to.include("-ai:as 5 ");
  });

  it("takes no settings that could be options, scripts or paths", () => {
    for (const settings of [{ camera: "-preRender" }, { camera: "a; system(1)" }, { renderer: "vray" }, { preRender: "x" }])
      expect(() => readSettings(settings)).to.throw(SceneRefused);
  });
});

describe("scene files of Maya", () => {
  it("are known by their first bytes", () => {
    expect(headerOf('//Maya ASCII 2024 scene\n//Name: a.ma\nrequires maya "2024";\n')).to.deep.equal({ kind: "ma", year: 2024 });
    expect(headerOf('//Maya ASCII 2018ff09 scene\nrequires maya "2018ff09";\n')).to.deep.equal({ kind: "ma", year: 2018 });
    expect(headerOf("FOR8\0\0\0\0\0\0\0\0\0\0\u0001\0MayaVERS")).to.deep.equal({ kind: "mb" });
    expect(headerOf("FOR4\0\0\u0001\0Maya")).to.deep.equal({ kind: "mb" });
  });

  it("are refused when they are something else", () => {
    const cases: [string, RegExp][] = [
      ["", /^is empty$/],
      ["hello", /^is not a Maya file$/],
      ["FOR4\0\0\u0001\0ILBM", /^is not a Maya file$/],
      ["PK\u0003\u0004", /zip archive/],
      ["BLENDER-v304", /^is not a Maya file$/],
    ];
    for (const [text, why] of cases) expect(() => headerOf(text)).to.throw(SceneRefused, why);
  });
});
