import { expect } from "chai";
import { useOpenai } from "./rig.ts";

describe("requests for a response", () => {
  const rig = useOpenai();

  for (const [param, body] of [
    ["input", {}],
    ["input", { input: 5 }],
    ["input", { input: [] }],
    ["input[0]", { input: ["a"] }],
    ["input[0].content", { input: [{ role: "user" }] }],
    ["input[0].content[0].text", { input: [{ role: "user", content: [{ type: "input_text" }] }] }],
    ["input[0].content[0].type", { input: [{ role: "user", content: [{ type: "input_audio" }] }] }],
    ["input[0].content[0].file_id", { input: [{ role: "user", content: [{ type: "input_file", file_id: "file-1" }] }] }],
    [
      "input[0].output[0].file_id",
      { input: [{ type: "function_call_output", call_id: "c", output: [{ type: "input_image", file_id: "file-1" }] }] },
    ],
    ["input[0].tools[0].type", { input: [{ type: "additional_tools", role: "developer", tools: [{ type: "web_search" }] }] }],
    ["max_output_tokens", { input: "x", max_output_tokens: 0 }],
    ["max_tool_calls", { input: "x", tools: [{ type: "web_search" }], max_tool_calls: 101 }],
    ["background", { input: "x", background: true }],
    ["prompt", { input: "x", prompt: { id: "pmpt_1" } }],
    ["service_tier", { input: "x", service_tier: "priority" }],
    ["conversation", { input: "x", conversation: 5 }],
    ...[
      "web_search",
      "web_search_preview_2025_03_11",
      "file_search",
      "code_interpreter",
      "image_generation",
      "computer_use_preview",
      "mcp",
      "shell",
      "tool_of_tomorrow",
    ].map((type) => ["tools[0].type", { input: "x", tools: [{ type }] }] as const),
    ["tools[0].tools[0].type", { input: "x", tools: [{ type: "namespace", tools: [{ type: "mcp" }] }] }],
  ] as const) {
    it(`are refused with the name of the field: ${param} in ${JSON.stringify(body)}`, async () => {
      const model = await rig.model({ raw: true });
      const refused = await rig.send("/v1/responses", { model, ...body });
      expect(refused.status).to.equal(400);
      expect(await refused.json()).to.have.nested.property("error.param", param);
    });
  }
});
