import { expect } from "chai";
import nodemailer from "nodemailer";
import { type Stack, startStack } from "../../support/stack.ts";

interface Message {
  id: string;
  from: string;
  to: string[];
  subject: string;
  text: string;
  html: string;
  date: string;
}

describe("the mail inbox", () => {
  let stack: Stack;
  let inbox: string;

  const send = (to: string, subject: string, more: { text?: string; html?: string } = {}) =>
    nodemailer
      .createTransport(stack.endpoints.smtp_url!)
      .sendMail({ from: "Tollkeeper <no-reply@localhost>", to, subject, text: "Hello", ...more });
  const list = async (to = "") => (await (await fetch(`${inbox}/messages?to=${encodeURIComponent(to)}`)).json()) as Message[];

  before(async () => {
    stack = await startStack({ parts: ["inbox"] });
    inbox = stack.endpoints.inbox!;
  });
  after(() => stack.destroy());

  it("lists mail newest first, and by receiver whatever the case", async () => {
    await send("ada@example.com", "Première");
    await send("Bob@example.com", "second", { html: "<p>Hi</p>" });
    expect((await list()).map((message) => message.subject)).to.deep.equal(["second", "Première"]);
    const [message] = await list("bob@EXAMPLE.com");
    expect(message).to.include({ from: "no-reply@localhost", subject: "second", text: "Hello\n", html: "<p>Hi</p>\n" });
    expect(message!.to).to.deep.equal(["Bob@example.com"]);
    expect(await (await fetch(`${inbox}/messages/${message!.id}`)).json()).to.deep.equal(message);
    expect((await fetch(`${inbox}/messages/none`)).status).to.equal(404);
  });

  it("keeps its mail when it is killed", async () => {
    const before = await list();
    await stack.part("inbox").kill();
    await stack.part("inbox").start();
    expect(await list()).to.deep.equal(before);
  });

  it("shows a page on which nothing in a mail can run", async () => {
    await send("ada@example.com", "<script>alert(1)</script>", {
      text: "<img src=x onerror=alert(2)>",
      html: `"><script>alert(3)</script>`,
    });
    const response = await fetch(`${inbox}/`);
    const page = await response.text();
    expect(page).to.contain("&lt;script&gt;alert(1)&lt;/script&gt;");
    expect(page).to.not.match(/<script|<img/);
    expect(page).to.contain('sandbox=""');
    expect(response.headers.get("content-security-policy")).to.contain("default-src 'none'");
  });

  it("forgets everything when asked to", async () => {
    expect((await fetch(`${inbox}/messages`, { method: "DELETE" })).status).to.equal(204);
    expect(await list()).to.deep.equal([]);
  });
});
