# Run by Blender on somebody's scene, which it does not trust: renders one frame into one file.
#   blender … --python-exit-code 9 scene.blend --python render.py -- job.json picture
import json
import sys

import bpy

job_path, picture_path = sys.argv[sys.argv.index("--") + 1 :][:2]
with open(job_path, encoding="utf-8") as file:
    job = json.load(file)

FORMATS = {"png": "PNG", "jpeg": "JPEG", "exr": "OPEN_EXR"}


def fail(reason):
    print("Failed: " + reason, flush=True)
    sys.exit(8)


scene = bpy.data.scenes.get(job["scene"]) if job.get("scene") else bpy.context.scene
if scene is None:
    fail("the scene is not in the file")
render = scene.render
if job.get("camera"):
    camera = scene.objects.get(job["camera"])
    if camera is None or camera.type != "CAMERA":
        fail("the camera is not in the scene")
    scene.camera = camera
if job.get("render_engine"):
    known = {item.identifier for item in render.bl_rna.properties["engine"].enum_items}
    if job["render_engine"] == "eevee":
        render.engine = "BLENDER_EEVEE_NEXT" if "BLENDER_EEVEE_NEXT" in known else "BLENDER_EEVEE"
    else:
        render.engine = "CYCLES"

render.resolution_x = job["width"]
render.resolution_y = job["height"]
render.resolution_percentage = 100
# A picture of exactly the size that was asked for and is charged.
render.use_border = False
render.use_crop_to_border = False
render.use_multiview = False
render.threads_mode = "FIXED"
render.threads = job["threads"]
render.image_settings.file_format = FORMATS[job["format"]]
render.use_file_extension = False
render.use_overwrite = True
render.use_placeholder = False
render.filepath = picture_path
# Neither when nor where a picture was made is written into it.
if not render.use_stamp:
    for name in [name for name in dir(render) if name.startswith("use_stamp_")]:
        setattr(render, name, False)

if render.engine == "CYCLES":
    import _cycles

    scene.cycles.samples = job["samples"]
    scene.cycles.use_animated_seed = False
    if scene.cycles.use_denoising and not getattr(_cycles, "with_openimagedenoise", False):
        print("Warning: this Blender has no denoiser, the picture is not denoised", flush=True)
        scene.cycles.use_denoising = False
    if job["device"] == "CPU":
        scene.cycles.device = "CPU"
    else:
        preferences = bpy.context.preferences.addons["cycles"].preferences
        preferences.compute_device_type = job["device"]
        preferences.refresh_devices() if hasattr(preferences, "refresh_devices") else preferences.get_devices()
        for device in preferences.devices:
            device.use = device.type == job["device"]
        if not any(device.use for device in preferences.devices):
            fail("there is no %s device on this node" % job["device"])
        scene.cycles.device = "GPU"
elif hasattr(scene, "eevee"):
    scene.eevee.taa_render_samples = job["samples"]

# Freestyle would run Python of the scene, and output nodes would write more files than the picture.
for layer in scene.view_layers:
    if layer.freestyle_settings.mode == "SCRIPT":
        layer.freestyle_settings.mode = "EDITOR"
        layer.use_freestyle = False
tree = getattr(scene, "node_tree", None)
for node in tree.nodes if tree else []:
    if node.type == "OUTPUT_FILE":
        node.mute = True

try:
    scene.frame_set(job["frame"])
    bpy.ops.render.render(write_still=True, scene=scene.name)
except RuntimeError as error:
    fail(str(error).strip().replace("\n", " "))
