import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** A named secret; the first of a list is used to make new values, all are accepted. */
export interface NamedSecret {
  id: string;
  secret: Buffer;
}

/** SHA-256 in lower-case hex. */
export function sha256(text: string | Buffer): string {
  return createHash("sha256").update(text).digest("hex");
}

/** HMAC-SHA256 in lower-case hex. */
export function hmacSha256(key: Buffer | string, text: string | Buffer): string {
  return createHmac("sha256", key).update(text).digest("hex");
}

/** Compares two texts in constant time; different lengths are unequal. */
export function equalSecret(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Encrypts and decrypts small secrets at rest. */
export interface SecretBox {
  seal(plain: string): string;
  /** Throws when the text was altered or its key is not configured. */
  open(sealed: string): string;
}

/** AES-256-GCM with a key ring: `<key id>.<iv>.<tag>.<data>`; the first key seals, every key opens, so that keys can be rotated. */
export function createSecretBox(keys: NamedSecret[]): SecretBox {
  const first = keys[0];
  if (!first) throw new Error("createSecretBox needs at least one key");
  return {
    seal(plain) {
      const iv = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", first.secret, iv);
      const data = Buffer.concat([cipher.update(plain, "utf8"), cipher.final()]);
      return [first.id, iv.toString("base64url"), cipher.getAuthTag().toString("base64url"), data.toString("base64url")].join(".");
    },
    open(sealed) {
      const [id, iv, tag, data] = sealed.split(".");
      const key = keys.find((candidate) => candidate.id === id);
      if (!key || !iv || !tag || data === undefined) throw new Error("sealed with a key that is not configured");
      const decipher = createDecipheriv("aes-256-gcm", key.secret, Buffer.from(iv, "base64url"));
      decipher.setAuthTag(Buffer.from(tag, "base64url"));
      return Buffer.concat([decipher.update(Buffer.from(data, "base64url")), decipher.final()]).toString("utf8");
    },
  };
}
