import { Ajv } from "ajv";
import { expect } from "chai";
import { existsSync } from "node:fs";
import path from "node:path";
import { environmentSchema } from "../../../src/config/index.ts";
import { projectRoot } from "../../../src/platform/root.ts";
import { composeSchema } from "../../support/compose-schema.ts";
import { composeFile, interpolate } from "../../support/compose.ts";

const REQUIRED = {
  POSTGRES_PASSWORD: "p",
  JWT_SECRETS: `k1:${"j".repeat(32)}`,
  HASH_SECRET: "h".repeat(32),
  ENCRYPTION_KEYS: `k1:${Buffer.alloc(32).toString("base64")}`,
  ADMIN_PASSWORD: "a long password",
  EPAY_KEY: "key",
  S3_SECRET_ACCESS_KEY: "secret",
};

function split(all: string[], is: (one: string) => boolean): [string[], string[]] {
  return [all.filter(is), all.filter((one) => !is(one))];
}

describe("docker-compose.yml", () => {
  const validate = new Ajv({ allErrors: true, strictTuples: false }).compile(composeSchema);

  it("follows the Compose specification", () => {
    expect(validate(composeFile(REQUIRED)), JSON.stringify(validate.errors)).to.equal(true);
  });

  it("would be refused with a misspelt key", () => {
    const file = composeFile(REQUIRED);
    expect(validate({ ...file, services: { ...file.services, api: { ...file.services["api"], enviroment: {} } } })).to.equal(false);
  });

  it("has the same parts as npm start, and others only when they are asked for", () => {
    const names = ["api", "mail", "postgres", "redis", "s3", "sandbox", "temporal", "temporal-ui", "worker"];
    const { services } = composeFile(REQUIRED);
    const asked = Object.keys(services).filter((name) => services[name]!.profiles);
    expect(asked.sort()).to.deep.equal(["grafana", "prometheus", "render-node"]);
    expect(
      Object.keys(services)
        .filter((name) => !asked.includes(name))
        .sort(),
    ).to.deep.equal(names);
  });

  it("names only services and volumes that exist, and starts everything again after a crash", () => {
    const { services, volumes } = composeFile(REQUIRED);
    for (const [name, service] of Object.entries(services)) {
      expect(service.restart, name).to.equal("unless-stopped");
      expect(Object.keys(services), name).to.include.members(Object.keys(service.depends_on ?? {}));
      const [folders, named] = split(
        (service.volumes ?? []).map((volume) => volume.split(":")[0]!),
        (from) => from.startsWith("./"),
      );
      expect(Object.keys(volumes), name).to.include.members(named);
      for (const folder of folders) expect(existsSync(path.join(projectRoot, folder)), folder).to.equal(true);
      for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
        if (condition === "service_healthy") expect(services[needed]!.healthcheck, needed).to.be.an("object");
      }
    }
  });

  it("sets only variables that the program reads", () => {
    const { services } = composeFile(REQUIRED);
    for (const name of ["api", "worker", "render-node"]) {
      expect(Object.keys(environmentSchema.shape), name).to.include.members(Object.keys(services[name]!.environment!));
    }
  });

  it("has no default for a secret", () => {
    for (const name of Object.keys(REQUIRED)) {
      expect(() => composeFile({ ...REQUIRED, [name]: "" }), name).to.throw(name);
    }
  });

  it("fills in variables as Compose does", () => {
    expect(interpolate("a${X:-b${Y}}c$$", { Y: "y" })).to.equal("abyc$");
    expect(interpolate("${X:-b}", { X: "x" })).to.equal("x");
    expect(() => interpolate("${X:?say it}", {})).to.throw("X: say it");
  });
});
