import { randomUUID } from "node:crypto";
import PostalMime from "postal-mime";
import { SMTPServer } from "smtp-server";
import type { Message } from "./store.ts";

const LARGEST_BYTES = 25 * 1024 * 1024;

/** A mail server that accepts everything for everybody, with or without sign-in, and delivers nothing. */
export function createSmtpServer(onMessage: (message: Message) => void): SMTPServer {
  return new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    disableReverseLookup: true,
    allowInsecureAuth: true,
    size: LARGEST_BYTES,
    onAuth: (_auth, _session, done) => done(null, { user: "anyone" }),
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", done);
      stream.on("end", () => {
        if (stream.sizeExceeded) return done(Object.assign(new Error("the message is too large"), { responseCode: 552 }));
        const { mailFrom, rcptTo } = session.envelope;
        parseMessage(
          Buffer.concat(chunks),
          mailFrom ? mailFrom.address : "",
          rcptTo.map((to) => to.address),
        )
          .then(onMessage)
          .then(() => done(), done);
      });
    },
  });
}

/** Receivers are those of the envelope: a blind copy is mail too. */
async function parseMessage(raw: Buffer, from: string, to: string[]): Promise<Message> {
  const mail = await PostalMime.parse(raw);
  return {
    id: randomUUID(),
    from: mail.from?.address || from,
    to,
    subject: mail.subject ?? "",
    text: mail.text ?? "",
    html: mail.html ?? "",
    date: new Date().toISOString(),
  };
}
