/** The mails the product sends, in both languages. Pure: data in, text and HTML out; every value is escaped. */

export type MailLocale = "en" | "zh-CN";
export const TEMPLATES = ["email_code", "verify_link", "already_registered", "receipt", "low_balance", "webhook_disabled"] as const;
export type TemplateName = (typeof TEMPLATES)[number];
export type TemplateData = Readonly<Record<string, string>>;

export interface RenderedMail {
  subject: string;
  text: string;
  html: string;
}

/** A mail as paragraphs; `[label, value]` is a row of a table, `{ code }` stands out, `{ link }` can be pressed. */
type Block = string | { code: string } | { link: string; label: string } | { rows: [string, string][] };
interface Content {
  subject: string;
  blocks: Block[];
}
type Template = (data: TemplateData) => Content;

const PURPOSES: Record<MailLocale, Record<string, string>> = {
  en: { register: "finish signing up", login: "sign in", reset: "set a new password", change_email: "change your e-mail address" },
  "zh-CN": { register: "完成注册", login: "登录", reset: "重设密码", change_email: "更换邮箱" },
};

const get = (data: TemplateData, key: string) => data[key] ?? "";
const rowsOf = (rows: [string, string][]) => ({ rows: rows.filter(([, value]) => value !== "") });

const ENGLISH: Record<TemplateName, Template> = {
  email_code: (data) => ({
    subject: `${get(data, "code")} is your Tollkeeper code`,
    blocks: [
      `Use this code to ${PURPOSES.en[get(data, "purpose")] ?? "go on"}:`,
      { code: get(data, "code") },
      `It is good for ${get(data, "minutes")} minutes. If you did not ask for it, ignore this mail; nobody can use it without the code.`,
    ],
  }),
  verify_link: (data) => ({
    subject: "Confirm your e-mail address",
    blocks: [
      "Open this link to confirm your e-mail address:",
      { link: get(data, "link"), label: "Confirm my address" },
      `It is good for ${get(data, "hours")} hours and works once. If you did not sign up, ignore this mail.`,
    ],
  }),
  already_registered: (data) => ({
    subject: "You have an account already",
    blocks: [
      "Somebody, probably you, tried to sign up with this address. It has an account already:",
      rowsOf([["User name", get(data, "username")]]),
      "Sign in, or set a new password if you have forgotten yours. If it was not you, nothing has to be done.",
      ...(get(data, "url") ? [{ link: get(data, "url"), label: "Open Tollkeeper" }] : []),
    ],
  }),
  receipt: (data) => ({
    subject: `Receipt: ${get(data, "amount")} ${get(data, "currency")} (${get(data, "order_no")})`,
    blocks: [
      `Hello ${get(data, "name")}, thank you. Your payment has arrived and your credits are there.`,
      rowsOf([
        ["Order", get(data, "order_no")],
        ["Paid", `${get(data, "amount")} ${get(data, "currency")}`],
        ["Credits", get(data, "credits")],
        ["Of which bonus", get(data, "bonus")],
        ["Time (UTC)", get(data, "paid_at")],
        ["Payment", get(data, "trade_no")],
      ]),
    ],
  }),
  low_balance: (data) => ({
    subject: `Your balance is below ${get(data, "threshold")} credits`,
    blocks: [
      `Hello ${get(data, "name")}, your balance has fallen below ${get(data, "threshold")} credits.`,
      rowsOf([
        ["Balance", get(data, "balance")],
        ["Threshold", get(data, "threshold")],
        ["Time (UTC)", get(data, "at")],
      ]),
      "Calls are refused when the balance does not cover them. You are told again when it has risen above this threshold and falls below it once more.",
      ...(get(data, "url") ? [{ link: get(data, "url"), label: "Top up" }] : []),
    ],
  }),
  webhook_disabled: (data) => ({
    subject: "Your webhook was switched off",
    blocks: [
      `Hello ${get(data, "name")}, your webhook has failed again and again, so nothing is sent to it any more:`,
      rowsOf([["URL", get(data, "url")]]),
      "What was sent and how it failed is in the list of deliveries. Set the webhook again to switch it on.",
    ],
  }),
};

const CHINESE: Record<TemplateName, Template> = {
  email_code: (data) => ({
    subject: `Tollkeeper 验证码：${get(data, "code")}`,
    blocks: [
      `请使用以下验证码${PURPOSES["zh-CN"][get(data, "purpose")] ?? "继续操作"}：`,
      { code: get(data, "code") },
      `验证码 ${get(data, "minutes")} 分钟内有效。如非本人操作，请忽略此邮件。`,
    ],
  }),
  verify_link: (data) => ({
    subject: "请确认您的邮箱",
    blocks: [
      "请打开以下链接确认您的邮箱：",
      { link: get(data, "link"), label: "确认邮箱" },
      `链接 ${get(data, "hours")} 小时内有效，只能使用一次。如非本人注册，请忽略此邮件。`,
    ],
  }),
  already_registered: (data) => ({
    subject: "您已有账号",
    blocks: [
      "有人（可能是您本人）使用此邮箱注册，但该邮箱已有账号：",
      rowsOf([["用户名", get(data, "username")]]),
      "请直接登录；如忘记密码，可以重设密码。如非本人操作，无需处理。",
      ...(get(data, "url") ? [{ link: get(data, "url"), label: "打开 Tollkeeper" }] : []),
    ],
  }),
  receipt: (data) => ({
    subject: `充值收据：${get(data, "amount")} ${get(data, "currency")}（${get(data, "order_no")}）`,
    blocks: [
      `${get(data, "name")}，您好！您的付款已收到，点数已到账。`,
      rowsOf([
        ["订单号", get(data, "order_no")],
        ["金额", `${get(data, "amount")} ${get(data, "currency")}`],
        ["点数", get(data, "credits")],
        ["其中赠送", get(data, "bonus")],
        ["时间（UTC）", get(data, "paid_at")],
        ["支付流水号", get(data, "trade_no")],
      ]),
    ],
  }),
  low_balance: (data) => ({
    subject: `您的余额已低于 ${get(data, "threshold")} 点`,
    blocks: [
      `${get(data, "name")}，您好！您的余额已低于 ${get(data, "threshold")} 点。`,
      rowsOf([
        ["余额", get(data, "balance")],
        ["提醒阈值", get(data, "threshold")],
        ["时间（UTC）", get(data, "at")],
      ]),
      "余额不足时调用会被拒绝。余额回升到该阈值以上后再次低于它时，会再次提醒您。",
      ...(get(data, "url") ? [{ link: get(data, "url"), label: "去充值" }] : []),
    ],
  }),
  webhook_disabled: (data) => ({
    subject: "您的 Webhook 已停用",
    blocks: [
      `${get(data, "name")}，您好！您的 Webhook 连续发送失败，已停止向其发送：`,
      rowsOf([["地址", get(data, "url")]]),
      "发送记录和失败原因可在投递列表中查看。重新设置 Webhook 即可启用。",
    ],
  }),
};

/** Makes a value safe between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

function asText(block: Block): string {
  if (typeof block === "string") return block;
  if ("code" in block) return `    ${block.code}`;
  if ("link" in block) return block.link;
  return block.rows.map(([label, value]) => `${label}: ${value}`).join("\n");
}

function asHtml(block: Block): string {
  if (typeof block === "string") return `<p>${escapeHtml(block)}</p>`;
  if ("code" in block) return `<p style="font-size:28px;letter-spacing:6px;font-weight:600">${escapeHtml(block.code)}</p>`;
  if ("link" in block) {
    if (!/^https?:\/\//.test(block.link)) return `<p>${escapeHtml(block.link)}</p>`;
    return `<p><a href="${escapeHtml(block.link)}">${escapeHtml(block.label)}</a></p><p style="color:#666">${escapeHtml(block.link)}</p>`;
  }
  const rows = block.rows.map(
    ([label, value]) => `<tr><td style="padding-right:16px;color:#666">${escapeHtml(label)}</td><td>${escapeHtml(value)}</td></tr>`,
  );
  return `<table>${rows.join("")}</table>`;
}

/** Renders a mail. Missing data leaves its place empty; line breaks in data never reach the subject. */
export function renderMail(template: TemplateName, locale: MailLocale, data: TemplateData): RenderedMail {
  const { subject, blocks } = (locale === "zh-CN" ? CHINESE : ENGLISH)[template](data);
  return {
    subject: subject.replace(/\p{Cc}+/gu, " "),
    text: `${blocks.map(asText).join("\n\n")}\n\nTollkeeper\n`,
    html: `<!doctype html><html lang="${locale}"><body style="font:16px/1.5 sans-serif;color:#222">${blocks.map(asHtml).join("")}<p style="color:#666">Tollkeeper</p></body></html>`,
  };
}
