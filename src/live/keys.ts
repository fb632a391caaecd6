/**
 * What live push keeps in Redis. All of it may vanish: clients are told, and read anew. One hash tag, so that a cluster keeps it together and
 * one clock orders everything.
 */
const PREFIX = "tollkeeper:{live}";

/** Gives events their ids; `since` is when it began. */
export const CLOCK = `${PREFIX}:clock`;
/** What was told to somebody, and the channel on which it is told as it happens. */
export const streamOf = (userId: string): string => `${PREFIX}:user:${userId}`;
/** The same for what is told to everybody. */
export const EVERYBODY = `${PREFIX}:all`;
/** The last event of a stream that had to go before its time. */
export const lostOf = (stream: string): string => `${stream}:lost`;
/** How far a publishing process has come. */
export const publishedBy = (process: string): string => `${PREFIX}:from:${process}`;
/** The connections of a user by copy. */
export const placesOf = (userId: string): string => `${PREFIX}:places:${userId}`;
/** Copies of the api, by when they count as gone. */
export const COPIES = `${PREFIX}:copies`;
/** What each copy says of itself. */
export const FIGURES = `${PREFIX}:figures`;
/** Where one copy hears itself. */
export const copyChannel = (copy: string): string => `${PREFIX}:copy:${copy}`;
/** A ticket, by its hash. */
export const ticketKey = (hash: string): string => `${PREFIX}:ticket:${hash}`;

/** Whoever comes back within ten minutes misses nothing; a little more is kept, so that they are whole ones. */
export const KEPT_MS = 11 * 60_000;
