import { expect } from "chai";
import { blenderArguments, versionOf } from "../../../src/render/engines/blender/command.ts";
import { readLine } from "../../../src/render/engines/blender/output.ts";

describe("what Blender prints", () => {
  const progress = (line: string) => {
    const said = readLine(line);
    return said.kind === "progress" ? said.fraction : undefined;
  };

  it("says how far a frame of Cycles is, of every version", () => {
    const before = "Fra:3 Mem:9.99M (Peak 10.83M) | Time:00:00.25 | Remaining:00:00.00 | Mem:0.84M, Peak:0.84M | Scene, ViewLayer | ";
    expect(progress(`${before}Sample 0/4`)).to.equal(0);
    expect(progress(`${before}Sample 3/4`)).to.equal(0.75);
    expect(progress(`${before}Finished`)).to.equal(1);
    expect(progress("Fra: 12 | Mem: 12M | Remaining: 00:01.2 | Sample 16/64")).to.equal(0.25);
    expect(progress("Fra:-5 Mem:9M (Peak 9M) | Time:00:01.00 | Rendered 1/4 Tiles, Sample 32/64")).to.equal(0.375);
  });

  it("says how far a frame of Eevee is", () => {
    expect(progress("Fra:1 Mem:80.55M (Peak 90.09M) | Time:00:00.31 | Rendering 16 / 64 samples")).to.equal(0.25);
  });

  it("is no progress where it only says what is being done, or makes no sense", () => {
    for (const line of ["Fra:3 Mem:9M (Peak 9M) | Time:00:00.01 | Scene | Updating Lights", "Fra:3 Mem:1M | Sample 0/0"]) {
      expect(readLine(line)).to.deep.equal({ kind: "nothing" });
    }
    expect(progress("Fra:3 Mem:1M | Sample 9/4")).to.equal(1);
  });

  it("goes to the task's log where it is of use to its owner", () => {
    expect(readLine("Error: Cannot render, no camera")).to.deep.equal({
      kind: "line",
      level: "error",
      text: "Error: Cannot render, no camera",
    });
    expect(readLine("Warning: not denoised")).to.include({ kind: "line", level: "warn" });
    expect(readLine("scripts disabled for \"/given/scene.blend\", skipping 'evil.py'")).to.include({ kind: "line", level: "warn" });
    for (const idle of [
      "Blender 3.4.1",
      "Blender quit",
      "Read blend: /given/scene.blend",
      "Saved: '/work/picture'",
      " Time: 00:01.09",
      "",
      "  ",
    ])
      expect(readLine(idle)).to.deep.equal({ kind: "nothing" });
    expect(readLine("Failed: the camera is not in the scene")).to.deep.equal({ kind: "failed", reason: "the camera is not in the scene" });
  });

  it("begins with its version", () => {
    expect(versionOf(["Color management: fallback", "Blender 3.4.1", "\tbuild date: 2023-01-01"])).to.equal("3.4.1");
    expect(versionOf(["Blender 4.2.3 LTS"])).to.equal("4.2.3");
    expect(versionOf(["sh: not found"])).to.equal(undefined);
  });

  it("is asked for in the order that Blender reads: what makes it safe before the scene, our script behind it", () => {
    const places = { work: "/work", given: { scene: "/given/scene.blend", script: "/given/script.py" } };
    const words = blenderArguments(2, (work) => [`${work}/job.json`])(places);
    expect(words.join(" ")).to.equal(
      "--background --factory-startup --disable-autoexec -noaudio --threads 2 --python-exit-code 9 /given/scene.blend --python /given/script.py -- /work/job.json",
    );
  });
});
