/** Where the old desktop client's paths begin. Its answers are the plain object, and its errors have their text also as `detail`. */
export const OLD_PREFIX = "/api/v1/";

/** Its WebSocket, which the product has at the same place. */
export const OLD_WS = "/ws";

/** Whether a path is one of the old client's. */
export const isOldPath = (path: string): boolean => path.startsWith(OLD_PREFIX) || path.startsWith(`${OLD_WS}/`);
