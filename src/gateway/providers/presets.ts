import type { NewProvider } from "./schema.ts";

/** A provider that operators add by its name; all they bring is the key. */
export interface Preset {
  /** Named in the request. */
  preset: string;
  /** All of a provider but its key. */
  provider: Pick<NewProvider, "name" | "base_url" | "api_format" | "config">;
  /** Names there and here; their cost prices are for the operator to fill in. */
  models: readonly string[];
}

/** Models are those in general use; discovery finds the rest. */
export const PRESETS: readonly Preset[] = [
  {
    preset: "antinomy",
    provider: { name: "Antinomy AI", base_url: "https://antinomy.ai/api/v1", api_format: "openai" },
    models: [
      "anthropic/claude-opus-4",
      "anthropic/claude-sonnet-4",
      "anthropic/claude-3.7-sonnet",
      "anthropic/claude-3.5-sonnet",
      "anthropic/claude-3.7-sonnet:thinking",
      "google/gemini-2.5-pro-preview",
      "x-ai/grok-3-beta",
    ],
  },
  {
    preset: "deepseek",
    provider: { name: "DeepSeek", base_url: "https://api.deepseek.com/v1", api_format: "openai" },
    models: ["deepseek-chat", "deepseek-reasoner"],
  },
  {
    preset: "zhipu",
    // Its version is part of the base URL.
    provider: { name: "Zhipu GLM", base_url: "https://open.bigmodel.cn/api/paas/v4", api_format: "openai" },
    models: ["glm-4.7", "glm-4.6", "glm-4.5-air", "glm-4.5-flash"],
  },
  {
    preset: "openai",
    provider: { name: "OpenAI", base_url: "https://api.openai.com/v1", api_format: "openai" },
    models: ["gpt-5", "gpt-5-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini", "text-embedding-3-small", "text-embedding-3-large"],
  },
  {
    preset: "anthropic",
    provider: { name: "Anthropic", base_url: "https://api.anthropic.com", api_format: "claude" },
    models: ["claude-opus-4-6", "claude-sonnet-4-5", "claude-haiku-4-5"],
  },
];
