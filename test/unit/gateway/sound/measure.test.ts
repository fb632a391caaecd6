import { expect } from "chai";
import { measureSound } from "../../../../src/gateway/sound/index.ts";
import { soundSeconds } from "../../../../src/gateway/sound/measure.ts";
import { mp4 } from "../../../support/pictures.ts";
import { extensibleWav, flac, mp3, opus, wav, webm } from "../../../support/sounds.ts";

describe("the length of a sound", () => {
  it("is what a WAV has, whatever its header claims", async () => {
    expect(await soundSeconds(wav(12.5), "audio/wav")).to.equal(12.5);
    expect(await soundSeconds(wav(12.5, { claimed: 0xffffffff }), "")).to.be.closeTo(12.5, 0.01);
    expect(await soundSeconds(wav(2, { claimed: 0 }), "")).to.be.closeTo(2, 0.01);
    expect(await soundSeconds(wav(2, { claimed: 500_000_000 }), "application/octet-stream")).to.be.closeTo(2, 0.01);
  });

  it("is what a WAV's samples take, however large its header says they are", async () => {
    const odd = wav(600);
    odd.writeUInt32LE(48_000_000, 28);
    odd.writeUInt16LE(2_000, 32);
    expect(await soundSeconds(odd, "audio/wav")).to.be.closeTo(600, 0.01);
    odd.writeUInt16LE(0x31, 20);
    expect(await soundSeconds(odd, "audio/wav")).to.be.greaterThan(600);
  });

  it("is what the frames of an MP3 have, and never less than its bytes can be", async () => {
    expect(await soundSeconds(mp3(60), "audio/mpeg")).to.be.closeTo(60, 0.1);
    expect(await soundSeconds(mp3(600, { claimedFrames: 1 }), "audio/mpeg")).to.be.greaterThan(200);
  });

  it("is the last block's time where a browser recorded without one", async () => {
    expect(await soundSeconds(webm([0, 5_000, 9_980]), "audio/webm")).to.be.closeTo(9.98 + 0.04, 0.1);
  });

  it("is what compressed samples take, under whichever header they come", async () => {
    expect(await soundSeconds(extensibleWav(480_000, 7), "audio/wav")).to.be.closeTo(5, 0.01);
    expect(await soundSeconds(extensibleWav(480_000, 0x11), "audio/wav")).to.be.closeTo(10, 0.01);
    expect(await soundSeconds(extensibleWav(480_000, 0x55), "audio/wav")).to.be.greaterThan(60);
    expect(await soundSeconds(extensibleWav(192_000, 1), "audio/wav")).to.be.closeTo(1, 0.01);
  });

  it("is what its packets take, whatever an MP4, an Ogg or a FLAC claims", async () => {
    const sound = (claimed: number, timed = claimed): Buffer => mp4(600, { kind: "soun", claimed, timed });
    for (const [name, honest, forged] of [
      ["audio/mp4", sound(600), sound(1)],
      ["audio/mp4", sound(600), sound(600, 1)],
      ["audio/mp4", sound(600), sound(1, 600)],
      ["audio/ogg", opus(600), opus(600, 1)],
      ["audio/flac", flac(600), flac(600, 1)],
    ] as const) {
      expect(await soundSeconds(honest, name), name).to.be.closeTo(600, 1);
      expect(await soundSeconds(forged, name), name).to.be.closeTo(600, 1);
    }
  });

  it("lasts to a recording's last block, whatever its header claims", async () => {
    expect(await soundSeconds(webm([0, 5_000, 9_980], { claimed: 1 }), "audio/webm")).to.be.closeTo(10.02, 0.1);
    expect(await soundSeconds(webm([0, 5_000, 9_980], { claimed: 30 }), "audio/webm")).to.be.closeTo(30, 0.1);
  });

  it("is never less than the best of its kind would make of so many bytes", async () => {
    const padded = (data: Buffer): Buffer => Buffer.concat([data, Buffer.alloc(6_400_000)]);
    for (const [type, data] of [
      ["audio/mp4", padded(mp4(1, { kind: "soun" }))],
      ["audio/ogg", padded(opus(1))],
    ] as const) {
      expect(await soundSeconds(data, type), type).to.be.within(99, 120);
    }
  });

  it("is unknown for what is no sound", async () => {
    for (const data of [
      Buffer.alloc(0),
      Buffer.from("hello"),
      Buffer.alloc(100_000, 0x55),
      wav(1).subarray(0, 30),
      Buffer.from("<html></html>"),
    ]) {
      expect(await soundSeconds(data, "audio/mpeg")).to.equal(undefined);
    }
  });

  it("is found in a thread, and what keeps that busy is given up without keeping others waiting", async function () {
    this.timeout(20_000);
    const odd = wav((25 * 1024 * 1024) / 48_000, { claimed: 0 });
    const before = performance.now();
    let longest = 0;
    let ticked = before;
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - ticked);
      ticked = performance.now();
    }, 5);
    const all = await Promise.all([measureSound(wav(3), "audio/wav"), measureSound(odd, "audio/wav"), measureSound(mp3(10), "audio/mpeg")]);
    clearInterval(timer);
    expect(all[0]).to.equal(3);
    expect(all[2]).to.be.closeTo(10, 0.1);
    // Looked into here, the odd one alone would stop everything for several seconds.
    expect(longest).to.be.lessThan(1_500);
  });
});
