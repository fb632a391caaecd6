/** What a price list says of a model, in the order of its columns, and how a cell of it reads. */
export const COLUMNS: Readonly<Record<string, "text" | "number" | "list">> = {
  name: "text",
  input_price: "text",
  output_price: "text",
  cached_input_price: "text",
  cache_write_price: "text",
  cache_write_1h_price: "text",
  reasoning_price: "text",
  request_price: "text",
  image_price: "text",
  second_price: "text",
  character_price: "text",
  web_search_price: "text",
  display_name: "text",
  modality: "text",
  context_length: "number",
  max_output_tokens: "number",
  max_image_tokens: "number",
  max_file_tokens: "number",
  video_second_tokens: "number",
  aliases: "list",
  status: "text",
};

/** Columns that an export has for its reader and an import passes over. */
export const READ_ONLY: ReadonlySet<string> = new Set(["price_version"]);
