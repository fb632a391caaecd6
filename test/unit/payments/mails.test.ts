import { expect } from "chai";
import { escapeHtml, renderMail, TEMPLATES } from "../../../src/notify/templates.ts";

const EVIL = `<script>alert("1")</script>&'`;

describe("mails", () => {
  it("hold what they are about, in both languages", () => {
    for (const locale of ["en", "zh-CN"] as const) {
      const code = renderMail("email_code", locale, { code: "123456", minutes: "10", purpose: "register" });
      expect(code.text)
        .to.match(/\b123456\b/)
        .and.to.contain("10");
      expect(code.subject).to.contain("123456");
      const link = renderMail("verify_link", locale, { link: "https://x.example/v?token=abc&x=1", hours: "24" });
      expect(link.text).to.contain("https://x.example/v?token=abc&x=1");
      expect(link.html).to.contain('href="https://x.example/v?token=abc&#38;x=1"');
      const receipt = renderMail("receipt", locale, {
        name: "Ada",
        order_no: "TK1",
        amount: "50.00",
        currency: "CNY",
        credits: "500",
        bonus: "",
        paid_at: "2026-11-21 10:00:00",
        trade_no: "42",
      });
      for (const part of ["TK1", "50.00", "CNY", "500", "42"]) expect(receipt.text, part).to.contain(part);
      expect(receipt.subject).to.contain("TK1");
    }
  });

  it("escape every value in HTML and never let a value break out of the subject", () => {
    for (const template of TEMPLATES) {
      for (const locale of ["en", "zh-CN"] as const) {
        const data = Object.fromEntries(
          [
            "code",
            "minutes",
            "purpose",
            "link",
            "hours",
            "username",
            "url",
            "name",
            "order_no",
            "amount",
            "currency",
            "credits",
            "bonus",
            "paid_at",
            "trade_no",
          ].map((key) => [key, `${EVIL}\r\nBcc: x@example.com`]),
        );
        const mail = renderMail(template, locale, data);
        expect(mail.html).to.not.contain("<script>");
        expect(mail.subject).to.not.match(/[\r\n]/);
      }
    }
    expect(escapeHtml(EVIL)).to.not.match(/[<>"']/);
  });

  it("show a link only when it is one", () => {
    expect(renderMail("verify_link", "en", { link: "javascript:alert(1)", hours: "1" }).html).to.not.contain("href");
  });
});
