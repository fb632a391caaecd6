import crypto from "node:crypto";

/**
 * Epay's signature, written here a second time: the product's verifier and this signer must not share a bug.
 * Parameters in alphabetical order, empty ones and the signature's own left out, the key appended, MD5.
 */
export function epaySignature(params: Map<string, string>, secret: string): string {
  const names = [...params.keys()].filter((name) => !["sign", "sign_type"].includes(name)).sort();
  let text = "";
  for (const name of names) {
    const value = params.get(name);
    if (!value) continue;
    if (text) text += "&";
    text += name + "=" + value;
  }
  const hash = crypto.createHash("md5");
  hash.update(Buffer.from(text + secret, "utf8"));
  return hash.digest("hex");
}
