import type { CsvColumn } from "../http/csv.ts";
import type { HistoryView } from "./history.ts";

/** What an export of the history shows; descriptions, references and names may be other people's words. */
export const HISTORY_COLUMNS: readonly CsvColumn<HistoryView>[] = [
  { name: "created_at", plain: true, value: (item) => item.created_at },
  { name: "id", value: (item) => item.id },
  { name: "type", plain: true, value: (item) => item.type },
  { name: "amount", plain: true, value: (item) => item.amount },
  { name: "balance_after", plain: true, value: (item) => item.balance_after },
  { name: "description", value: (item) => item.description },
  { name: "reference", value: (item) => item.reference },
  { name: "source", plain: true, value: (item) => item.source },
  { name: "model", value: (item) => item.call?.model },
  { name: "key_id", plain: true, value: (item) => item.call?.key_id },
  { name: "input_tokens", plain: true, value: (item) => item.call?.input_tokens },
  { name: "output_tokens", plain: true, value: (item) => item.call?.output_tokens },
  { name: "price_version", plain: true, value: (item) => item.call?.price_version },
  { name: "conversation_id", value: (item) => item.call?.dify?.conversation_id },
  { name: "message_id", value: (item) => item.call?.dify?.message_id },
  { name: "request_id", value: (item) => item.call?.request_id },
  { name: "shortfall", plain: true, value: (item) => item.shortfall },
];
