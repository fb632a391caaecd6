import path from "node:path";
import { projectRoot } from "../platform/root.ts";

/** Where everything on one machine keeps data, logs, secrets and the addresses of its parts. */
export const dataFolder = (): string => path.resolve(process.env["TOLLKEEPER_DATA"] || path.join(projectRoot, ".data"));
