export { setting } from "./define.ts";
export { createSettings, type Settings } from "./store.ts";
