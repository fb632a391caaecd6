import { once } from "node:events";
import path from "node:path";
import { createInboxApp } from "./http.ts";
import { createSmtpServer } from "./smtp.ts";
import { createMessageStore } from "./store.ts";

/** The mail inbox of a development stack. PORT (page and JSON), SMTP_PORT, HOST, and DATA_DIR when mail is to outlive the process. */
const host = process.env["HOST"] || "127.0.0.1";
const port = Number(process.env["PORT"] || 8025);
const smtpPort = Number(process.env["SMTP_PORT"] || 1025);
const dataDir = process.env["DATA_DIR"];

const store = createMessageStore(dataDir ? path.join(dataDir, "inbox.jsonl") : undefined);
const smtp = createSmtpServer((message) => store.add(message));
smtp.on("error", (error) => {
  console.error(error.message);
  if ((error as NodeJS.ErrnoException).syscall === "listen") process.exit(1);
});
await new Promise<void>((resolve) => smtp.listen(smtpPort, host, resolve));
const server = createInboxApp(store).listen(port, host);
await once(server, "listening");
console.log(`inbox on http://${host}:${port}, SMTP on ${host}:${smtpPort}`);

function stop(): void {
  server.close();
  server.closeAllConnections();
  smtp.close(() => process.exit(0));
}
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
