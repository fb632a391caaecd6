/**
 * Whether an AI call would be admitted, asked before it is made: for pages and programs that call models through Tollkeeper. It needs
 * nothing but `fetch` and runs in browsers and on servers.
 *
 *     const checkBalanceBeforeAI = createBalanceCheck({ baseUrl: "https://toll.example", token: () => session.accessToken });
 *     const { canProceed, shortfall } = await checkBalanceBeforeAI("gpt-4o", 1500, 800);
 */

export interface BalanceCheckOptions {
  /** Of the product, without `/api`. */
  baseUrl: string;
  /** An access token or an API key; a function is asked anew for every check. */
  token: string | (() => string | Promise<string>);
  /** In place of the global `fetch`. */
  fetch?: typeof globalThis.fetch;
}

/** Amounts are exact decimal text in credits. */
export interface BalanceCheck {
  /** Whether a call of this size would be admitted now. It holds nothing: what counts is the call itself. */
  canProceed: boolean;
  /** The code with which it would be refused: an empty wallet, credit held by running calls, a limit, a quota. */
  reason: string | null;
  /** What is available now. */
  balance: string;
  /** What running calls hold. */
  held: string;
  estimatedCost: string;
  /** What such a call is held for. */
  hold: string;
  /** What is missing, with what is owed for earlier use. */
  shortfall: string;
  model: string;
  inputTokens: number;
  outputTokens: number;
}

/** Counts that are left out are as in the user's own calls. Rejects with a {@link BalanceCheckError}, or as `fetch` does. */
export type CheckBalanceBeforeAI = (modelName: string, inputTokens?: number, outputTokens?: number) => Promise<BalanceCheck>;

/** The product did not answer the question: an unknown model, a token that has expired, or it is not available. */
export class BalanceCheckError extends Error {
  readonly status: number;
  /** As in the table of errors; "" when the answer was not the product's. */
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = "BalanceCheckError";
    this.status = status;
    this.code = code;
  }
}

interface Envelope {
  message?: string;
  error?: { code?: string };
  data?: Omit<BalanceCheck, "inputTokens" | "outputTokens"> & { input_tokens: number; output_tokens: number };
}

export function createBalanceCheck({ baseUrl, token, fetch = globalThis.fetch }: BalanceCheckOptions): CheckBalanceBeforeAI {
  const url = `${baseUrl.replace(/\/+$/, "")}/api/user/points/check-balance`;

  return async (modelName, estimatedInputTokens, estimatedOutputTokens) => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${typeof token === "string" ? token : await token()}` },
      // JSON leaves out what is undefined.
      body: JSON.stringify({ modelName, estimatedInputTokens, estimatedOutputTokens }),
    });
    const { data, error, message } = (await response.json().catch(() => ({}))) as Envelope;
    if (!response.ok || !data) {
      throw new BalanceCheckError(response.status, error?.code ?? "", message ?? `The balance could not be checked (${response.status})`);
    }
    return {
      canProceed: data.canProceed,
      reason: data.reason,
      balance: data.balance,
      held: data.held,
      estimatedCost: data.estimatedCost,
      hold: data.hold,
      shortfall: data.shortfall,
      model: data.model,
      inputTokens: data.input_tokens,
      outputTokens: data.output_tokens,
    };
  };
}
