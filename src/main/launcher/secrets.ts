import { randomBytes, randomInt } from "node:crypto";
import path from "node:path";
import { readJson, writePrivateJson } from "./files.ts";

/** Made once per data folder; `secrets.json` there is readable by its owner only. */
export interface Secrets {
  postgresPassword: string;
  jwtSecrets: string;
  hashSecret: string;
  encryptionKeys: string;
  adminPassword: string;
  epayPid: string;
  epayKey: string;
  webhookKey: string;
  webhookSecret: string;
  s3AccessKey: string;
  s3SecretKey: string;
}

/** The secrets of a data folder, made at its first start. */
export function loadSecrets(dataDir: string): Secrets {
  const file = path.join(dataDir, "secrets.json");
  const kept = readJson<Partial<Secrets>>(file) ?? {};
  const secrets: Secrets = {
    postgresPassword: kept.postgresPassword ?? randomBytes(24).toString("base64url"),
    jwtSecrets: kept.jwtSecrets ?? `k1:${randomBytes(32).toString("base64url")}`,
    hashSecret: kept.hashSecret ?? randomBytes(32).toString("base64url"),
    encryptionKeys: kept.encryptionKeys ?? `k1:${randomBytes(32).toString("base64")}`,
    adminPassword: kept.adminPassword ?? randomBytes(15).toString("base64url"),
    epayPid: kept.epayPid ?? String(randomInt(1_000, 10_000)),
    epayKey: kept.epayKey ?? randomBytes(16).toString("hex"),
    webhookKey: kept.webhookKey ?? `whk_${randomBytes(24).toString("base64url")}`,
    webhookSecret: kept.webhookSecret ?? randomBytes(32).toString("base64url"),
    s3AccessKey: kept.s3AccessKey ?? `toll${randomBytes(8).toString("hex")}`,
    s3SecretKey: kept.s3SecretKey ?? randomBytes(32).toString("hex"),
  };
  if (Object.keys(secrets).some((name) => !(name in kept))) writePrivateJson(file, secrets);
  return secrets;
}
