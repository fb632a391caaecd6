import type { IncomingMessage } from "node:http";
import { addressOf } from "../../http/address.ts";
import type { CallerKey } from "../../identity/index.ts";
import { openaiVoice } from "../formats/openai-chat/errors.ts";
import { authenticate } from "../pipeline/admit.ts";
import { endWhole, sendFailure, type Answer } from "../pipeline/answer.ts";
import type { RelayDeps } from "../pipeline/deps.ts";
import { passRequest } from "../pipeline/pass.ts";
import { failureOf } from "../pipeline/thrown.ts";
import { subscriptionOf, usageOf } from "./shapes.ts";
import { viewWallet, type WalletDeps, type WalletView } from "./view.ts";

/** Paths with and without the version, as older clients of OpenAI ask. */
const PREFIXES = ["/v1/dashboard/billing", "/dashboard/billing"];

export interface BillingDeps {
  wallet: WalletDeps;
  /** Micro-credits for one dollar; 0 shows one credit as one dollar. */
  microPerDollar: bigint;
}

type Shape = (view: WalletView, microPerDollar: bigint, expiresAt: Date | null) => object;

const SHAPES: Record<string, Shape> = { subscription: subscriptionOf, usage: usageOf };

/** Every path under which the wallet is shown, and how. */
export const BILLING_PATHS = PREFIXES.flatMap((prefix) =>
  Object.entries(SHAPES).map(([name, shape]) => [`${prefix}/${name}`, shape] as const),
);

/** Shows the wallet of the key's account in the shapes that existing chat clients read. Counts as a request, costs nothing. */
export async function showBilling(
  deps: RelayDeps & { billing: BillingDeps },
  shape: Shape,
  req: IncomingMessage,
  answer: Answer,
): Promise<void> {
  try {
    const ip = addressOf(req, deps.config.proxyHops);
    const who = await authenticate(deps, req, ip);
    if ("failure" in who) return sendFailure(answer, openaiVoice, who.failure);
    const limited = await passRequest(deps, who.caller, ip, answer.headers, openaiVoice.vendor);
    if (limited) return sendFailure(answer, openaiVoice, limited);
    endWhole(answer, Buffer.from(JSON.stringify(await shown(deps.billing, shape, who.caller))));
  } catch (error) {
    sendFailure(answer, openaiVoice, failureOf(error));
  }
}

async function shown({ wallet, microPerDollar }: BillingDeps, shape: Shape, caller: CallerKey): Promise<object> {
  return shape(await viewWallet(wallet, caller), microPerDollar, caller.expiresAt);
}
