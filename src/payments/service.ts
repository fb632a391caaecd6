import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import type { Notices } from "./notices.ts";
import type { Orders, OrderSettings } from "./orders.ts";
import type { PaymentProvider } from "./providers/types.ts";

/** The api's side of payments: what its routes use. */
export interface Payments {
  pool: Pool;
  log: Logger;
  orders: Orders;
  notices: Notices;
  providers: ReadonlyMap<string, PaymentProvider>;
  settings: OrderSettings;
}
