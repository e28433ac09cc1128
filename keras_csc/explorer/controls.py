"""The controls of the explorer's tab Change, of Gradio."""

import gradio as gr

from keras_csc import html
from keras_csc.explorer import panels

MOST_STEPS, STEPS_OF_PHOTOGRAPH = 50, 5


def controls_of(model):
    """The controls of codes, and the buttons of atoms."""
    # Wide enough for every stage: of a session that was forgotten, Gradio
    # checks values as if no image had set the controls yet.
    layers = model.encoder.coding_layers
    strongest = max(_most_sparsity(layer) for layer in layers)
    most = max(MOST_STEPS, *(layer.iterations for layer in layers))
    atoms = list(range(max(model.encoder.filters)))
    price = "λ, the price of a coefficient"
    sparsity = gr.Slider(0, strongest, label=price)
    steps = gr.Slider(1, most, step=1, label="Solver steps")
    share = "Coefficients kept, % of those that are not 0"
    kept = gr.Slider(0, 100, 100, step=0.5, label=share)
    toggles = gr.HTML(js_on_load=html.file("toggle.js"), elem_id="kx-toggles")
    off = gr.CheckboxGroup(atoms, visible=False)
    return [sparsity, steps, kept, off], toggles


def settings_of(model, seen, number):
    """The controls as the model codes an image, in their order."""
    layer = model.encoder.coding_layers[number - 1]
    stage = seen.explanation.stages[number - 1]
    own, taken, most = layer.sparsity, layer.iterations, MOST_STEPS
    if panels.is_photograph(seen.image):
        most = STEPS_OF_PHOTOGRAPH
    return [
        gr.Slider(
            maximum=_most_sparsity(layer), value=own, step=own / 50 or 0.01
        ),
        gr.Slider(maximum=max(most, taken), value=taken),
        100,
        [],
        panels.atom_toggles(stage, seen.image),
    ]


def _most_sparsity(layer):
    """The largest `λ` that a layer's program is solved with."""
    return 5 * layer.sparsity or 1.0
