import { expect } from "chai";
import { SceneRefused } from "../../../src/render/engines/engine.ts";
import { doneOf, filmArguments, isProgress, pictureName, versionOf } from "../../../src/render/video/command.ts";
import { splitSettings } from "../../../src/render/video/settings.ts";

describe("films of frames", () => {
  it("are asked for in a task's settings, apart from the engine's own", () => {
    expect(splitSettings({ seed: 1 })).to.deep.equal({ own: { seed: 1 }, video: undefined });
    expect(splitSettings({ seed: 1, video: {} })).to.deep.equal({ own: { seed: 1 }, video: { fps: 24, codec: "h264" } });
    expect(splitSettings({ video: { fps: 29.97, codec: "vp9" } }).video).to.deep.equal({ fps: 29.97, codec: "vp9" });
    for (const [video, field] of [
      [{ fps: 0 }, "settings.video.fps"],
      [{ codec: "avi" }, "settings.video.codec"],
      [{ filter: "movie=/etc/passwd" }, "settings.video"],
      [true, "settings.video"],
      [null, "settings.video"],
    ] as const) {
      expect(() => splitSettings({ video }))
        .to.throw(SceneRefused)
        .with.property("field", field);
    }
  });

  const words = (codec: "h264" | "vp9", format: string) =>
    filmArguments({ video: { fps: 12, codec }, format, threads: 2 })({ work: "/work", given: { frames: "/given/frames" } }).join(" ");

  it("are made of numbered pictures, by the decoder of their format", () => {
    expect(pictureName(0, "png")).to.equal("000001.png");
    expect(words("h264", "png")).to.match(/-f image2 -framerate 12 -start_number 1 -c:v png -i \/given\/frames\/%06d\.png /);
    expect(words("h264", "jpeg")).to.include("-c:v mjpeg -i ");
    expect(words("h264", "exr")).to.include("-c:v exr -apply_trc iec61966_2_1 -i ");
    expect(words("h264", "png")).to.match(/-c:v libx264 .* -movflags \+faststart -f mp4 -y \/work\/film$/);
    expect(words("vp9", "png")).to.match(/-c:v libvpx-vp9 .* -f webm -y \/work\/film$/);
    expect(words("vp9", "png")).to.include("-protocol_whitelist file,pipe");
  });

  it("say how far they are", () => {
    expect(doneOf("frame=12")).to.equal(12);
    expect(doneOf("frame=  12")).to.equal(12);
    expect(doneOf("fps=25.0")).to.equal(undefined);
    for (const line of ["frame=12", "out_time=00:00:01.000000", "speed=1.2x", "progress=continue", "bitrate= 512.3kbits/s", "speed=N/A"])
      expect(isProgress(line), line).to.equal(true);
    expect(isProgress("[image2 @ 0x55] Could not open file : /given/frames/000001.png")).to.equal(false);
    expect(versionOf(["ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026 the FFmpeg developers", "built with gcc"])).to.equal(
      "5.1.9-0+deb12u1",
    );
  });
});
