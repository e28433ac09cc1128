"""The explorer's tab that removes the noise of a photograph."""

import gradio as gr
import numpy as np
import skimage.data

from keras_csc import restoration
from keras_csc.explorer.panels import filled

MOST_PIXELS = 2**21
# Of the picture that is there at first, and its noise, of 255.
SIDE, NOISE = 256, 25


def restore_tab(tab, listen, files):
    """Fills the tab: a picture, its noise, and a slider over before and after.

    Args:
        tab: `gradio.Tab`, within which this is called. Nothing is computed
            before it is opened.
        listen: function of a trigger, a handler, its inputs and outputs.
        files: endings of image files.
    """
    about = "by unrolled sparse coding, whichever model is looked at"
    gr.HTML(filled("heading", "Remove noise", about))
    with gr.Row():
        picture = gr.Image(
            _first_picture(),
            label="Photograph",
            type="numpy",
            sources=["upload"],
            format="png",  # The default loses some of the noise.
        )
        both = gr.ImageSlider(
            label="Before and after",
            interactive=False,
            format="png",
            elem_id="kx-restored",
        )
    noise = gr.Slider(0, 75, 0, step=1, label="Noise, of 255; 0: estimated")
    said = gr.HTML(elem_id="kx-restored-said")
    for trigger in (tab.select, picture.upload, noise.release):
        listen(trigger, _denoised, [picture, noise], [both, said])


def _first_picture():
    """A part of a photograph of scikit-image's, with noise."""
    image = skimage.data.chelsea()[20 : 20 + SIDE, 100 : 100 + SIDE]
    rng = np.random.default_rng(0)
    noisy = image + NOISE * rng.standard_normal(image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype("uint8")


def _denoised(picture, noise):
    """The picture beside itself without noise, and what was done."""
    if picture is None:
        raise ValueError("Choose a photograph.")
    height, width = picture.shape[:2]
    if height * width > MOST_PIXELS:
        raise ValueError(
            f"A photograph may have {MOST_PIXELS:,} pixels here. Received: "
            f"{width}×{height}. Use keras-csc restore."
        )
    image = picture[..., :3].astype("float32") / 255
    level = noise / 255 or max(
        restoration.estimate_noise(image), restoration.tasks.LEAST_NOISE
    )
    found = np.rint(255 * restoration.denoise(image, level)).astype("uint8")
    word = "told" if noise else "estimated"
    text = f"Noise of {255 * level:.1f} of 255, {word}."
    return (picture, found), filled("note", text)
