# Run by Blender on somebody's scene, which it does not trust: looks, and changes nothing.
#   blender … --python-exit-code 9 scene.blend --python check.py -- job.json report.json
import json
import sys

import bpy

job_path, report_path = sys.argv[sys.argv.index("--") + 1 :][:2]
with open(job_path, encoding="utf-8") as file:
    job = json.load(file)

# Names come from the scene: short, and few.
MOST = 20


def short(text):
    return str(text)[:120]


def external():
    """Files that the scene needs and does not carry. What nothing uses is not needed."""
    for library in bpy.data.libraries:
        if not library.packed_file:
            yield library.filepath
    for image in bpy.data.images:
        if image.users > 0 and image.library is None and image.source in {"FILE", "SEQUENCE", "MOVIE", "TILED"} and not image.packed_files:
            yield image.filepath
    for clip in bpy.data.movieclips:
        if clip.users > 0:
            yield clip.filepath
    for font in bpy.data.fonts:
        if font.users > 0 and not font.packed_file and font.filepath != "<builtin>":
            yield font.filepath
    for volume in getattr(bpy.data, "volumes", []):
        if volume.users > 0 and not volume.packed_file:
            yield volume.filepath
    for cache in bpy.data.cache_files:
        if cache.users > 0:
            yield cache.filepath


def freestyle_scripts(scene):
    """Freestyle runs Python of the scene while it renders, although scripts are disabled."""
    if not scene.render.use_freestyle:
        return False
    return any(layer.use_freestyle and layer.freestyle_settings.mode == "SCRIPT" for layer in scene.view_layers)


wanted = job.get("scene")
scene = bpy.data.scenes.get(wanted) if wanted else bpy.context.scene
report = {
    "version": list(bpy.data.version)[:2],
    "blender": list(bpy.app.version)[:2],
    "scenes": [short(one.name) for one in bpy.data.scenes][:MOST],
    "missing": [short(path) for path in list(dict.fromkeys(external()))[:MOST]],
}
if scene:
    report["scene"] = {
        "name": short(scene.name),
        "engine": scene.render.engine,
        "camera": short(scene.camera.name) if scene.camera else None,
        "cameras": [short(one.name) for one in scene.objects if one.type == "CAMERA"][:MOST],
        "frames": [scene.frame_start, scene.frame_end],
        "size": [scene.render.resolution_x, scene.render.resolution_y],
        "scripts": freestyle_scripts(scene),
        "camera_found": not job.get("camera") or any(one.type == "CAMERA" and one.name == job["camera"] for one in scene.objects),
    }
with open(report_path, "w", encoding="utf-8") as file:
    json.dump(report, file)
