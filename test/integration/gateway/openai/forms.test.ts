import { connect } from "node:net";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { expect } from "chai";
import { wav } from "../../../support/sounds.ts";
import { useOpenai } from "./rig.ts";

const PATH = "/v1/audio/transcriptions";

/** Bytes of a form with these parts; without its end when it breaks off. */
function formOf(parts: [head: string, body: string | Buffer][], end = true): Buffer {
  const pieces = parts.flatMap(([head, body]) => [
    Buffer.from(`--cut\r\nContent-Disposition: form-data; ${head}\r\n\r\n`),
    Buffer.from(body),
    Buffer.from("\r\n"),
  ]);
  return Buffer.concat([...pieces, Buffer.from(end ? "--cut--\r\n" : "")]);
}

describe("forms", () => {
  const rig = useOpenai({ UPSTREAM_IDLE_TIMEOUT: "500ms" });
  const sound = wav(1);
  let model: string;
  before(async () => {
    model = await rig.model({ prices: { second_price: "1" } });
  });

  const send = (body: Buffer, type = "multipart/form-data; boundary=cut") =>
    rig.send(PATH, "", { body: new Uint8Array(body), headers: { "content-type": type } });
  const file = (name = "toll.wav"): [string, Buffer] => [`name="file"; filename="${name}"`, sound];
  const named = (): [string, string] => ['name="model"', model];

  it("go on with their files byte for byte, fields and lists with them, under the provider's model", async () => {
    const answer = await send(
      formOf([
        named(),
        file("été.wav"),
        ['name="include[]"', "logprobs"],
        ['name="chunking_strategy[type]"', "server_vad"],
        ['name="temperature"', "0.5"],
      ]),
    );
    expect(answer.status).to.equal(200);
    const call = (await rig.upstream.calls("été")).at(-1)!;
    expect(call.body).to.deep.equal({
      model: "upstream-model",
      include: ["logprobs"],
      "chunking_strategy[type]": "server_vad",
      temperature: "0.5",
      files: [
        {
          field: "file",
          name: "été.wav",
          type: "text/plain",
          bytes: sound.length,
          sha256: createHash("sha256").update(sound).digest("hex"),
        },
      ],
    });
    expect(call.headers["content-type"]).to.match(/^multipart\/form-data; boundary=(?!cut)/);
    expect(Number(call.headers["content-length"])).to.be.greaterThan(sound.length);
  });

  for (const [name, param, body] of [
    ["no file", "file", () => formOf([named()])],
    ["no model", "model", () => formOf([file()])],
    ["a model twice", "model", () => formOf([named(), ['name="model"', "dear"], file()])],
    ["text in place of the file", "file", () => formOf([named(), ['name="file"', "text"]])],
    ["two files", "body", () => formOf([named(), file(), file()])],
    ["a file where none belongs", "mask", () => formOf([named(), ['name="mask"; filename="x"', "x"]])],
    ["a file that is no sound", "file", () => formOf([named(), ['name="file"; filename="x.mp3"', "hello"]])],
    ["a field with an odd name", "body", () => formOf([named(), file(), ['name="a b"', "x"]])],
    ["a part without a name", "body", () => formOf([named(), file(), ['nome="x"', "x"]])],
    [
      "too many fields",
      "body",
      () => formOf([named(), file(), ...Array.from({ length: 70 }, (_, i): [string, string] => [`name="f${i}"`, "x"])]),
    ],
    ["a field that is too long", "prompt", () => formOf([named(), file(), ['name="prompt"', "x".repeat(1_100_000)]])],
    ["a value that is refused", "temperature", () => formOf([named(), file(), ['name="temperature"', "hot"]])],
    ["a choice of another model", "models", () => formOf([named(), file(), ['name="models"', "dear"]])],
    ["no end", "body", () => formOf([named(), file()], false)],
    ["nothing in it", "body", () => Buffer.from("")],
  ] as const) {
    it(`with ${name} are refused, and nothing is held`, async () => {
      const answer = await send(body());
      expect(answer.status).to.equal(400);
      expect(await answer.json()).to.have.nested.property("error.param", param);
      expect((await rig.relay.balance(rig.ada)).held).to.equal("0");
      expect(await rig.relay.lastEvent(rig.ada)).to.equal(undefined);
    });
  }

  it("without a boundary, or of another kind, are refused", async () => {
    expect((await send(formOf([named(), file()]), "multipart/form-data")).status).to.equal(400);
    expect((await send(Buffer.from("{}"), "application/json")).status).to.equal(415);
    expect((await send(formOf([named(), file()]), "multipart/mixed; boundary=cut")).status).to.equal(400);
  });

  it("with a file of more than 25 MB are refused as too large", async () => {
    const answer = await send(formOf([named(), ['name="file"; filename="x.wav"', Buffer.alloc(25 * 1024 * 1024 + 1)]]));
    expect(answer.status).to.equal(413);
    const whole = await send(Buffer.alloc(33 * 1024 * 1024));
    expect(whole.status).to.equal(413);
  });

  it("of which nothing more comes end with 400 and a closed connection", async () => {
    const { hostname, port } = new URL(rig.relay.url);
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    const head = `POST ${PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${rig.ada.key}\r\ncontent-type: multipart/form-data; boundary=cut\r\ncontent-length: 1000000000\r\n\r\n`;
    // 1 GB is too large at once; 30 MB would be taken, and does not come.
    socket.write(head.replace("1000000000", "30000000"));
    socket.write(formOf([named()], false));
    let said = "";
    socket.on("data", (data) => (said += data.toString()));
    await once(socket, "end");
    expect(said).to.match(/^HTTP\/1\.1 400 [\s\S]*connection: close[\s\S]*did not arrive in time/);
    expect((await rig.relay.balance(rig.ada)).held).to.equal("0");
    socket.destroy();
  });
});
