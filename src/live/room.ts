import type { Peer } from "./peer.ts";

/** One person's connections at this copy. */
export interface Room {
  readonly userId: string;
  readonly walletId: bigint;
  readonly peers: Set<Peer>;
  /** Resolves once this copy hears what the person is told. */
  heard: Promise<void>;
  /** The last event that came for this person. */
  lastId: string;
  /** What was in the wallet when it was looked at last. */
  wallet: string | undefined;
}
