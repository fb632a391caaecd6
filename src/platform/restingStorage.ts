/**
 * Lets a store rest while nobody is in it. One that is on makes Node follow every promise of the process: a relayed call, which uses no
 * store, then costs a tenth more. Call it when somebody enters; it returns what to call when he leaves (twice is once). Where the last
 * has left the store is off until it is entered again.
 */
export function restWhenEmpty(storage: { disable(): void }): () => () => void {
  let inside = 0;
  return () => {
    let within = true;
    inside += 1;
    return () => {
      if (!within) return;
      within = false;
      inside -= 1;
      if (inside === 0) storage.disable();
    };
  };
}
