/** For requests whose answer is always whole: the pipeline never opens a stream for them. */
export function noStream(): never {
  throw new Error("this format has no streams");
}
