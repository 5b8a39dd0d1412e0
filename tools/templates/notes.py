# ruff: noqa: E501  # a paragraph is a line, as Markdown has it
"""What the templates' notes say."""

from __future__ import annotations

PAINT = "**Load Image**: choose a picture. Right-click it, *Open in MaskEditor*, and paint over what needs detail."

DETAIL_A_MASK = f"""
1. {PAINT} Parts that don't touch are detailed one by one.
2. **Load Checkpoint**: any model. The settings suit SD 1.5.
3. Say in the prompt what the parts show, and run.

Too little changes: raise **denoise**. Too much: lower it. With SDXL and later set **guide_size** to 1024.

Outside the mask the picture stays as it is, bit for bit.
"""

SEVERAL_MASKS = """
1. **Load Image**, twice the same picture: paint the faces in one, the hands in the other (right-click, *Open in MaskEditor*).
2. Each mask becomes segments, and each gets a label.
3. **wildcard** of the detailer begins with **[LAB]**; each line has a label and its prompt. Run.

Another mask: the same three nodes once more, connected to **SEGS Concat**, which grows an input.

By place instead of label: begin with **[ASC]**, part the prompts with **[SEP]**.
"""

FACES = """
1. **Load Checkpoint**: any model. The settings suit SD 1.5.
2. Choose a picture, describe the **face** in the prompt, and run. ComfyUI offers the files that are missing.

- Needs ComfyUI 0.24 or later, and no other pack.
- Fewer false faces: raise **bbox_threshold**.
- Too little changes: raise **denoise**. Too much: lower it.
- A double click, or *Enter subgraph*, shows what is inside: all of the detailer's settings, **part** for eyes or mouths only, and what turns leaning faces upright for the sampling.
"""

FACES_HANDS_AND_EYES = """
1. **Load Checkpoint**: any model. The settings suit SD 1.5.
2. Choose a picture, describe the **face** in the prompt, and run. ComfyUI offers the files that are missing; of a YOLO file only numbers and names are read, nothing in it can run.
3. **Hands** and **Eyes** are bypassed (purple). To use them select the node and press **Ctrl+B**. Eyes need ComfyUI 0.24 or later.

Each works on what the one before has made. A double click, or *Enter subgraph*, shows what is inside: all of the detailer's settings.

Another detector: choose its file under **detector**. It belongs in **models/ultralytics/bbox**, or **segm**.
"""

FRAMES = """
1. **Load Image**: a picture, or a clip's first frame. Right-click it, *Open in MaskEditor*, and paint.
2. Run: the mask holds for all frames.
3. **Your own clip**: choose it in **Load Video**, select both nodes that are off and press **Ctrl+M**; then connect **images** to **image** of the detailer, and **fps** to **Create Video**.

Every frame starts from the same seed; nothing else holds them together. Keep **denoise** low. A part that moves: the template *Moving Parts*.
"""

INPAINTING_MODEL = f"""
Puts something new in the mask's place: a model made for inpainting sees what is around it.

1. {PAINT}
2. **Load Checkpoint**: a model for inpainting, here SD 2. It works with **inpaint_model** on, all others with it off.
3. Say in the prompt what shall be there, and run.

**denoise** 1.0: what was there doesn't count. **crop_factor** 3: more surroundings, so that light and style fit.
"""

REFINER = f"""
1. {PAINT}
2. **Load Checkpoint**, twice: the first model and the refiner, here SDXL's. Both must have the same kind of latents.
3. The refiner has prompts of its own. Run.

**refiner_ratio** is its share of the steps: 0.3 is the last 6 of 20. Its VAE is not used.
"""

OPTIONS_COMPARED = f"""
Two detailers with the same picture, pipe and seed. Only one has **Detailer Options**.

1. {PAINT}
2. **Load Checkpoint**: any model. The settings suit SD 1.5.
3. Run, change **one** option, run again: only that detailer works anew.

A tint: **colour**. An edge: **blend**. Too smooth or too crisp: **detail**. Moved content: **drift**.

Change other settings in both, and keep the seeds *fixed* and equal.
"""

PLAN_FIRST = f"""
1. {PAINT}
2. Run. **Detail Plan** samples nothing: it draws crops, sizes and order. Crops of one colour are sampled at once; grey ones are left out, and the table says why.
3. Change **guide_size**, **max_size**, **crop_factor** and **drop_size** until you like it.
4. Write the same values into the detailer, select both nodes that are off, press **Ctrl+M**, and run.
"""

_MOVING = """
1. **Load Video**: choose a clip.
2. **What to follow**: a word for it, such as *face*, *hand* or *dog*. SAM 3 finds each in the clip and follows it.
"""

MOVING_PARTS = f"""{_MOVING}
3. **Load Checkpoint**: any image model. The settings suit SD 1.5.
4. Say in the prompt what the parts show, and run.

Each part is worked on in one window that moves with it, with the same noise in each frame: detail stays where it is on the part.

- It swims: lower **denoise**.
- Wrong parts: a more exact word, or **max_objects** of the tracker.
- A part that goes out of sight for longer: raise **gap**.
- Parts of your own: a mask for each frame to **mask**, instead of **track_data**.

Outside the masks each frame stays as it is.

Needs ComfyUI's SAM 3 nodes.
"""

MOVING_PARTS_VIDEO_MODEL = f"""{_MOVING}
3. Say in the prompt what the parts show, and run. ComfyUI offers the files that are missing.

A video model gets a part's frames as one clip: what it adds moves as the part does.

- Longer than **span** frames: in pieces that overlap.
- **Detailer Options** has *denoise_scale* at *noise_level*: **denoise** 0.5 is half noise, whatever the model's shift.
- Another model: Wan 14B, the low noise model of Wan 2.2, LTX or HunyuanVideo, with its own text encoder and VAE.
- Out of memory: lower **max_size**, then **span**.

Outside the masks each frame stays as it is.

Needs ComfyUI's SAM 3 nodes.
"""

EDIT_MODEL_FLUX_KONTEXT = f"""
1. {PAINT} Parts that don't touch are detailed one by one.
2. The prompt is an instruction: say what shall become of the part, and what shall stay. Run. ComfyUI offers the files that are missing.

**Detailer Options** has *references* at *crop*: the model is shown the part itself, so that the person stays the same; what it shifts and tints is put right.

It drifts from the picture: lower **denoise** to 0.7. Nothing happens: a plainer instruction.
"""

EDIT_MODEL_QWEN = f"""
1. {PAINT} Parts that don't touch are detailed one by one.
2. The prompt is an instruction: say what shall become of the part, and what shall stay. Run. ComfyUI offers the files that are missing.

**Detailer Options** has *references* at *crop*: the model is shown the part itself; the text encoder sees the whole picture.

Without the LoRA (**Ctrl+B** on it): **steps** 20, **cfg** 2.5; finer, and slower.
"""
