import path from "node:path";
import { writeFile } from "node:fs/promises";
import { z } from "zod";
import { projectRoot } from "../../../platform/root.ts";
import { limitReason, NotTaken, takeText, type Inside, type ProgramLimits } from "../../process/index.ts";
import { SceneRefused } from "../engine.ts";
import { blenderArguments } from "./command.ts";
import { readLine } from "./output.ts";
import type { BlenderSettings } from "./settings.ts";

const text = z.string().max(200);
const reportSchema = z.object({
  /** Major and minor version of Blender that wrote the file, and of ours. */
  version: z.tuple([z.number(), z.number()]),
  blender: z.tuple([z.number(), z.number()]),
  scenes: z.array(text).max(20),
  missing: z.array(text).max(20),
  /** Undefined when the file has no such scene. */
  scene: z
    .object({
      name: text,
      engine: text,
      camera: text.nullable(),
      cameras: z.array(text).max(20),
      frames: z.tuple([z.number(), z.number()]),
      size: z.tuple([z.number(), z.number()]),
      scripts: z.boolean(),
      camera_found: z.boolean(),
    })
    .optional(),
});

export type SceneFacts = z.output<typeof reportSchema>;

const REPORT_MOST = 256 * 1_024;
export const scriptFile = (name: string): string => path.join(projectRoot, "src/render/engines/blender", name);

/** Opens a scene in Blender, shut in, and reads what it is. Throws {@link SceneRefused} when it cannot be opened. */
export async function readScene(
  inside: Inside,
  run: { blender: string; scenePath: string; settings: BlenderSettings; threads: number; limits: ProgramLimits },
  signal: AbortSignal,
): Promise<SceneFacts> {
  const { settings, limits } = run;
  await writeFile(path.join(inside.folder, "job.json"), JSON.stringify({ scene: settings.scene, camera: settings.camera }));
  let complaint: string | undefined;
  const ending = await inside.run(
    {
      file: run.blender,
      arguments: blenderArguments(run.threads, (work) => [`${work}/job.json`, `${work}/report.json`]),
      given: { scene: run.scenePath, script: scriptFile("check.py") },
      limits,
    },
    {
      signal,
      onLine(line) {
        const said = readLine(line);
        if (said.kind === "line" && said.level === "error") complaint ??= said.text;
      },
    },
  );
  if (ending.kind === "limit") throw new SceneRefused(`cannot be opened: Blender ${limitReason(ending.limit, limits)}`);
  if (ending.kind === "crashed") throw new SceneRefused(`cannot be opened: Blender ended with ${ending.signal}`);
  if (ending.code !== 0) throw new SceneRefused(`cannot be opened: ${plain(complaint ?? `Blender ended with code ${ending.code}`)}`);
  try {
    return reportSchema.parse(JSON.parse(await takeText(path.join(inside.folder, "report.json"), REPORT_MOST)));
  } catch (error) {
    if (!(error instanceof NotTaken || error instanceof z.ZodError || error instanceof SyntaxError)) throw error;
    throw new SceneRefused("cannot be opened: Blender did not say what is in it", undefined);
  }
}

/** Without where the file lies on our machine. */
const plain = (complaint: string): string => complaint.replace(/^Error: /, "").replace(/ '\/[^']*'/g, "");

/** Whether facts allow a render; throws {@link SceneRefused} with what is wrong, else remarks for the owner. */
export function judge(
  facts: SceneFacts,
  settings: BlenderSettings,
  use: { frameStart: number; frameEnd: number; width: number; height: number },
  node: { eevee: boolean },
): string[] {
  const { scene, missing, version, blender } = facts;
  if (newer(version, blender)) throw new SceneRefused(newerReason(version, blender));
  if (!scene) throw new SceneRefused(`is not in the file, which has ${facts.scenes.join(", ")}`, "settings.scene");
  if (!scene.camera_found)
    throw new SceneRefused(
      scene.cameras.length > 0 ? `must be one of ${scene.cameras.join(", ")}` : "the scene has no camera",
      "settings.camera",
    );
  if (!scene.camera && !settings.camera) throw new SceneRefused("has no camera that is active: name one in settings.camera");
  if (scene.scripts) throw new SceneRefused("uses Freestyle with Python scripts, which are not run here");
  const engine = settings.render_engine === "cycles" ? "CYCLES" : settings.render_engine === "eevee" ? "BLENDER_EEVEE" : scene.engine;
  if (!/^(CYCLES|BLENDER_EEVEE(_NEXT)?|BLENDER_WORKBENCH)$/.test(engine))
    throw new SceneRefused(`is made for the renderer ${engine}, which is not here`);
  if (engine !== "CYCLES" && !node.eevee)
    throw new SceneRefused("is made for Eevee, which needs a graphics card that is not here: set settings.render_engine to cycles");
  const list = missing.join(", ");
  if (missing.length > 0 && !settings.allow_missing)
    throw new SceneRefused(
      `needs files that are not in it: ${list}. Pack them (File > External Data > Pack Resources), or set settings.allow_missing`,
    );
  return [
    ...(missing.length > 0 ? [`Rendered without ${list}`] : []),
    ...(use.frameStart < scene.frames[0] || use.frameEnd > scene.frames[1]
      ? [`The scene's own frames are ${scene.frames[0]} to ${scene.frames[1]}`]
      : []),
    ...(use.width * scene.size[1] === use.height * scene.size[0] ? [] : [`The scene is made for ${scene.size[0]} × ${scene.size[1]}`]),
  ];
}

type Version = readonly [number, number];
export const newer = (file: Version, ours: Version): boolean => file[0] > ours[0] || (file[0] === ours[0] && file[1] > ours[1]);
export const newerReason = (file: Version, ours: Version): string =>
  `was saved by Blender ${file.join(".")}, which is newer than the ${ours.join(".")} that renders here`;
