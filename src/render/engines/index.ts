import path from "node:path";
import type { Logger } from "../../platform/logger.ts";
import type { Engines } from "../deps.ts";
import { createVideoMaker, type VideoMaker } from "../video/index.ts";
import type { RenderEngine } from "./engine.ts";
import { createSandbox } from "../process/index.ts";
import { createBlender, type Device } from "./blender/index.ts";
import { createSimulate } from "./simulate/index.ts";
import { createMaya } from "./maya/index.ts";
import type { NodeSettings } from "./node.ts";

/** Programs of this machine that engines are made of; whether they are there is found out when they are first needed. */
export interface ProgramSettings extends NodeSettings {
  /** Engines that are offered, by name. */
  offered: readonly string[];
  blender: string;
  blenderDevice: Device;
  maya: string;
  mayaNetwork: boolean;
  ffmpeg: string;
  /** Run nothing that cannot be kept apart from this machine. */
  isolated: boolean;
  /** Where programs work. */
  folder: string;
}

const ENGINE_NAMES = ["blender", "maya"] as const;

/** The engines of this process. `simulate` draws placeholders: it is offered only where that is wanted. */
export function createEngines({ simulate, programs }: { simulate: boolean; programs?: ProgramSettings & { log: Logger } }): Engines {
  const engines = simulate ? [createSimulate()] : [];
  if (programs) {
    const { log, folder, isolated, offered } = programs;
    const sandbox = createSandbox({ folder: path.join(folder, "rooms"), required: isolated, log });
    const node = { sandbox, node: programs, log };
    const installed = {
      blender: () => createBlender({ ...node, program: programs.blender, device: programs.blenderDevice }),
      maya: () => createMaya({ ...node, sandbox: sandbox.strict(), program: programs.maya, network: programs.mayaNetwork }),
    };
    for (const name of ENGINE_NAMES) if (offered.includes(name)) engines.push(installed[name]());
  }
  return new Map(engines.map((engine) => [engine.name, engine]));
}

/** What makes films of frames on this machine. */
export const createFilms = ({ folder, isolated, ffmpeg, log, ...node }: ProgramSettings & { log: Logger }): VideoMaker =>
  createVideoMaker({ program: ffmpeg, node, log, sandbox: createSandbox({ folder: path.join(folder, "rooms"), required: isolated, log }) });

/** What each engine of this machine says of itself, for operators, and those that can work. */
export async function describeEngines(engines: Engines): Promise<{ ready: RenderEngine[]; said: Record<string, string> }> {
  const states = await Promise.all(
    [...engines.values()].map(async (engine) => {
      const found = (await engine.state?.()) ?? { kind: "ready", version: "built in", notes: [] };
      const words = found.kind === "ready" ? [found.version, ...found.notes].join(", ") : `missing: ${found.why}`;
      return { engine, words, ready: found.kind === "ready" };
    }),
  );
  return {
    ready: states.flatMap(({ engine, ready }) => (ready ? [engine] : [])),
    said: Object.fromEntries(states.map(({ engine, words }) => [engine.name, words])),
  };
}
