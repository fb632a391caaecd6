/** Log probabilities of a piece of text, as if it were one token. */
export function logprobsOf(piece: string): object {
  const bytes = [...Buffer.from(piece)];
  const token = { token: piece, logprob: -0.25, bytes };
  return { content: [{ ...token, top_logprobs: [token] }], refusal: null };
}
