/**
 * The parts of the Compose specification (https://github.com/compose-spec/compose-spec, 05-services.md and following) that
 * docker-compose.yml uses, as a JSON schema. It is stricter than the published one: whatever it does not name is refused.
 */
const text = { type: "string", minLength: 1 };
const duration = { type: "string", pattern: "^(\\d+(us|ms|s|m|h))+$" };
const size = { type: "string", pattern: "^\\d+[kmg]$" };
const command = { type: "array", items: { type: "string" }, minItems: 1 };
const variables = { type: "object", propertyNames: { pattern: "^[A-Za-z_][A-Za-z0-9_]*$" }, additionalProperties: { type: "string" } };
const strict = (properties: Record<string, unknown>, required: string[] = []) => ({
  type: "object",
  additionalProperties: false,
  properties,
  required,
});

const healthcheck = strict(
  {
    test: { type: "array", items: [{ enum: ["CMD", "CMD-SHELL"] }], additionalItems: { type: "string" }, minItems: 2 },
    interval: duration,
    timeout: duration,
    start_period: duration,
    retries: { type: "integer", minimum: 1 },
  },
  ["test"],
);

const service = {
  ...strict({
    image: { type: "string", pattern: "^[a-z0-9./-]+:[A-Za-z0-9._-]+$" },
    build: strict({ context: text, dockerfile: text, target: text }, ["context"]),
    command,
    restart: { enum: ["no", "always", "on-failure", "unless-stopped"] },
    init: { type: "boolean" },
    security_opt: { type: "array", items: text },
    stop_grace_period: duration,
    shm_size: size,
    environment: variables,
    env_file: { type: "array", items: strict({ path: text, required: { type: "boolean" } }, ["path"]) },
    depends_on: {
      type: "object",
      additionalProperties: strict({ condition: { enum: ["service_started", "service_healthy", "service_completed_successfully"] } }, [
        "condition",
      ]),
    },
    ports: { type: "array", uniqueItems: true, items: { type: "string", pattern: "^(\\d+\\.\\d+\\.\\d+\\.\\d+:)?\\d+:\\d+$" } },
    volumes: { type: "array", uniqueItems: true, items: { type: "string", pattern: "^([a-z]+|\\./[\\w./-]+):/[\\w./-]+(:ro)?$" } },
    profiles: { type: "array", uniqueItems: true, items: { type: "string", pattern: "^[a-zA-Z0-9][\\w.-]*$" } },
    networks: { type: "object", additionalProperties: strict({ aliases: { type: "array", items: text } }) },
    healthcheck,
    logging: strict({ driver: text, options: { type: "object", additionalProperties: { type: "string" } } }, ["driver"]),
  }),
  anyOf: [{ required: ["image"] }, { required: ["build"] }],
};

export const composeSchema = {
  type: "object",
  additionalProperties: false,
  // Fragments for anchors: Compose ignores every key that begins with x-.
  patternProperties: { "^x-": {} },
  properties: {
    name: { type: "string", pattern: "^[a-z0-9][a-z0-9_-]*$" },
    services: { type: "object", propertyNames: { pattern: "^[a-zA-Z0-9._-]+$" }, additionalProperties: service },
    volumes: { type: "object", additionalProperties: strict({}) },
  },
  required: ["services"],
};
