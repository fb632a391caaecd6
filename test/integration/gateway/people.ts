/** What a test says of the customers and models it makes, and what it gets. */

export interface CustomerOptions {
  credits?: string;
  userLimits?: object;
  keyLimits?: object;
  models?: string[];
  allowedIps?: string[];
  verified?: boolean;
  status?: string;
}

export interface Customer {
  userId: string;
  keyId: string;
  key: string;
  walletId: bigint;
}

export interface ModelOptions {
  input?: string;
  output?: string;
  maxOutput?: number | null;
  priced?: boolean;
  status?: "active" | "inactive";
  timeouts?: object;
  config?: object;
  apiFormat?: "openai" | "claude" | "dify";
  /** Of each provider in turn; by default the first has the highest priority, and each one key. */
  providers?: {
    keys?: string[];
    priority?: number;
    weight?: number;
    apiFormat?: "openai" | "claude" | "dify" | "custom";
    config?: object;
  }[];
  /** What it costs at every provider, in whole units of the currency per 1000 tokens. */
  cost?: { input: string; output: string; currency?: "CREDITS" | "CNY" | "USD" };
  /** More columns of the price, e.g. `cached_input_price`; in credits. */
  prices?: Record<string, string>;
  /** More columns of the model, e.g. `context_length`. */
  columns?: Record<string, number>;
}

export interface EventRow {
  id: string;
  request_id: string;
  status: string;
  error_code: string | null;
  http_status: number;
  estimated: boolean;
  input_tokens: bigint;
  output_tokens: bigint;
  cached_input_tokens: bigint;
  cache_write_tokens: bigint;
  units: object | null;
  attempts: { error_code?: string | null }[] | null;
}
