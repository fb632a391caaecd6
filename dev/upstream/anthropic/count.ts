import { anthropicImageTokens, sizeOfSource } from "../content/pictures.ts";
import { textOf, tokensOf, tokensOfJson } from "../content/tokens.ts";
import { blocksOf, type Block, type MessageParam } from "./request.ts";

const PER_MESSAGE = 4;
const PRIMING = 3;

function blockTokens(block: Block): number {
  switch (block.type) {
    case "text":
      return tokensOf(block.text ?? "");
    case "image":
      return anthropicImageTokens(sizeOfSource(block.source?.data ?? block.source?.url ?? ""));
    case "tool_use":
      return tokensOf(block.name ?? "") + tokensOfJson(block.input);
    case "tool_result":
      return blocksOf(block.content as MessageParam["content"] | undefined).reduce((sum, one) => sum + blockTokens(one), 0);
    case "thinking":
      // Earlier thoughts are dropped before the model reads.
      return 0;
    default:
      return tokensOfJson(block);
  }
}

/** Input tokens of a request; our tokenizer's, the vendor's own is not public. */
export function inputTokens({ messages, system, tools }: Record<string, unknown>): number {
  const said = (messages as MessageParam[]).reduce(
    (sum, { content }) => sum + PER_MESSAGE + blocksOf(content).reduce((inside, block) => inside + blockTokens(block), 0),
    0,
  );
  return PRIMING + said + tokensOf(textOf(system)) + tokensOfJson(tools);
}
