/** What the live monitor keeps in Redis. All of it may vanish. One hash tag, so that a cluster keeps it together. */
const PREFIX = "tollkeeper:{monitor}";

/** The last moments of all processes, for listeners and for those who come back. */
export const STREAM = `${PREFIX}:stream`;
/** There while somebody listens anywhere. */
export const PRESENCE = `${PREFIX}:listening`;
/** Whose turn it is to say how the system is. */
export const STATE_TURN = `${PREFIX}:state`;
/** The listeners of one operator on all copies, by when they are forgotten. */
export const listenersOf = (userId: string): string => `${PREFIX}:of:${userId}`;
/** A ticket, by its hash. */
export const ticketKey = (hash: string): string => `${PREFIX}:ticket:${hash}`;

/** How long the stream goes back, in entries: a process adds at most ten a second. */
export const STREAM_LENGTH = 2_000;
/** The stream goes away this long after the last entry. */
export const STREAM_LIFE_MS = 120_000;
/** Processes go on publishing this long after the last listener has left, so that one who comes back misses nothing. */
export const PRESENCE_MS = 30_000;
