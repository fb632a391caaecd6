import { setTimeout as delay } from "node:timers/promises";
import { isGrpcServiceError, type Connection } from "@temporalio/client";

/** The search attributes that workflows set. */
export const SEARCH_ATTRIBUTES = { UserId: "Keyword", OrderNo: "Keyword", TaskState: "Keyword", Shard: "Int" } as const;

/** Values of `temporal.api.enums.v1.IndexedValueType`. */
const TYPE_NUMBERS = { Keyword: 2, Int: 3 } as const;
/** gRPC status codes: ALREADY_EXISTS, and the ones a managed service answers operator calls with. */
const ALREADY_EXISTS = 6;
const NOT_FOUND = 5;
const NOT_ALLOWED: readonly number[] = [7, 12, 16];

export interface NamespaceOptions {
  connection: Connection;
  namespace: string;
  /** How long closed workflows stay visible; also set on a namespace that keeps them for a shorter time when `raise` is true. */
  retentionDays?: number;
  raise?: boolean;
  /** How long to wait until the server lets it be used. */
  timeoutMs?: number;
}

/**
 * Makes the namespace and its search attributes where they are missing, and resolves when both can be used. May be called by
 * any number of processes at once and again at each start. A service that does not allow it (Temporal Cloud) must have both.
 */
export async function prepareNamespace(options: NamespaceOptions): Promise<void> {
  const deadline = Date.now() + (options.timeoutMs ?? 30_000);
  await ensureNamespace(options);
  while (!(await ensureSearchAttributes(options))) {
    if (Date.now() > deadline) throw new Error(`the Temporal namespace ${options.namespace} does not become usable`);
    await delay(50);
  }
}

async function ensureNamespace(options: NamespaceOptions): Promise<void> {
  const { connection, namespace, retentionDays = 30 } = options;
  const workflowExecutionRetentionTtl = { seconds: retentionDays * 86_400 } as never;
  try {
    const found = await connection.workflowService.describeNamespace({ namespace });
    const kept = Number(found.config?.workflowExecutionRetentionTtl?.seconds ?? 0);
    if (options.raise && kept < retentionDays * 86_400) {
      await connection.workflowService.updateNamespace({ namespace, config: { workflowExecutionRetentionTtl } });
    }
  } catch (error) {
    if (codeOf(error) !== NOT_FOUND) throw error;
    await connection.workflowService
      .registerNamespace({ namespace, workflowExecutionRetentionPeriod: workflowExecutionRetentionTtl })
      .catch(unless(ALREADY_EXISTS));
  }
}

/** True when all are there; false when the server has to be asked again. */
async function ensureSearchAttributes({ connection, namespace }: NamespaceOptions): Promise<boolean> {
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = Object.entries(SEARCH_ATTRIBUTES).filter(([name]) => !(name in (customAttributes ?? {})));
    if (missing.length === 0) return true;
    const searchAttributes = Object.fromEntries(missing.map(([name, type]) => [name, TYPE_NUMBERS[type]]));
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes }).catch(unless(ALREADY_EXISTS, NOT_FOUND));
    return false;
  } catch (error) {
    const code = codeOf(error);
    if (code === NOT_FOUND) return false;
    if (code !== undefined && NOT_ALLOWED.includes(code)) return true;
    throw error;
  }
}

function codeOf(error: unknown): number | undefined {
  return isGrpcServiceError(error) ? error.code : undefined;
}

function unless(...codes: number[]): (error: unknown) => void {
  return (error) => {
    const code = codeOf(error);
    if (code === undefined || !codes.includes(code)) throw error;
  };
}
