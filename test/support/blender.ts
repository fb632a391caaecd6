import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { findProgram } from "../../src/render/process/index.ts";

/** Scenes of Blender, made by it when a test needs them. */

const run = promisify(execFile);

/** Whether Blender is installed here. */
export const hasBlender = async (): Promise<boolean> => (await findProgram("blender")) !== undefined;

const SMALL = `
import bpy
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.frame_start, scene.frame_end = 1, 10
scene.render.resolution_x, scene.render.resolution_y = 64, 36
cube = bpy.data.objects["Cube"]
for frame, turn in ((1, 0.0), (10, 3.0)):
    cube.rotation_euler[2] = turn
    cube.keyframe_insert("rotation_euler", frame=frame)
`;

/** The bytes of a small scene, a turning cube, after this Python has worked on it as well; its own file is named by \`target\`. */
export async function makeScene(more = ""): Promise<Buffer> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "tollkeeper-scene-"));
  try {
    const [script, target] = [path.join(folder, "make.py"), path.join(folder, "scene.blend")];
    await writeFile(
      script,
      `${SMALL}\ntarget = ${JSON.stringify(target)}\n${more}\nbpy.ops.wm.save_as_mainfile(filepath=target, compress=False)\n`,
    );
    await run("blender", ["--background", "--factory-startup", "-noaudio", "--python-exit-code", "1", "--python", script]);
    return await readFile(target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
