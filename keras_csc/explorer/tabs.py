"""The tabs of the explorer's page, each a function of the page.

They wire controls to the functions of this package; what these do is tested
without them.
"""

import functools

import gradio as gr
import numpy as np

from keras_csc import html
from keras_csc.explorer import damage
from keras_csc.explorer import panels
from keras_csc.explorer.changing import Changes
from keras_csc.explorer.changing import change
from keras_csc.explorer.panels import DRAWN
from keras_csc.explorer.panels import FRAMES
from keras_csc.explorer.panels import filled

MOST_STEPS, STEPS_OF_PHOTOGRAPH = 50, 5
# Scripts of buttons: one is pressed, or each on its own.
PICK, TOGGLE = html.file("pick.js"), html.file("toggle.js")


def listen(trigger, function, inputs, outputs, **how):
    """A handler of an event: one at a time, and not part of an API.

    Its mistakes are shown in the page.
    """

    @functools.wraps(function)
    def handler(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return trigger(
        handler,
        inputs,
        outputs,
        api_visibility="private",
        concurrency_id="model",
        concurrency_limit=1,
        **how,
    )


def of(page):
    """The tabs of a page's model: functions by their titles."""
    encoder = page.model.encoder
    return {
        "Look": look_tab,
        **({"Change": change_tab} if encoder.sparse else {}),
        "Sample": sample_tab,
        **({"Restore": restore_tab} if encoder.features == "map" else {}),
    }


def look_tab(page):
    panel = gr.HTML(panels.look_panel(page.first), elem_id="kx-look")
    overview = page.of_seen(panels.look_panel)
    page.refreshed.append((overview, [page.chosen], [panel]))
    if page.first.explanation is None:
        return
    number = _stages(page, "Atoms of stage", "kx-stage-look")
    atoms = gr.HTML(panels.stage_panel(page.first, 1), elem_id="kx-atoms")
    stage = page.of_seen(panels.stage_panel)
    shown = stage, [page.chosen, number], [atoms]
    listen(number.input, *shown)
    page.refreshed.append(shown)


def _stages(page, label, name):
    count = len(page.first.explanation.stages)
    names = [("1, next to the image", 1)]
    names += [(str(number), number) for number in range(2, count + 1)]
    return gr.Radio(names, value=1, label=label, elem_id=name)


def change_tab(page):
    with gr.Row():
        with gr.Column(scale=2, min_width=260):
            number = _stages(page, "Codes of stage", "kx-stage-change")
            controls, toggles = _controls(page.model)
            again = gr.Button("As it was", size="sm")
        with gr.Column(scale=3, min_width=300, elem_classes="kx-first"):
            panel = gr.HTML(elem_id="kx-change")

    def applied(seen, *values):
        found = change(page.model, seen, _changes(*values))
        return panels.change_panel(seen, found)

    inputs = [page.chosen, number]
    settings = functools.partial(_settings, page.model)
    fresh = page.of_seen(settings), inputs, [*controls, toggles]
    apply = page.of_seen(applied), [*inputs, *controls], [panel]
    for trigger in (number.input, again.click, page.blocks.load):
        listen(listen(trigger, *fresh).success, *apply)
    live = {"trigger_mode": "always_last", "show_progress": "minimal"}
    off = controls[3]
    for control in controls:
        if control is not off:
            listen(control.input, *apply, **live)
    switched = listen(toggles.input, _switched_off, None, [off], **live)
    listen(switched.success, *apply, **live)
    page.refreshed += [fresh, apply]


def _controls(model):
    # Wide enough for every stage: of a session that was forgotten, Gradio
    # checks values as if no image had set the controls yet.
    layers = model.encoder.coding_layers
    strongest = max(_most_sparsity(layer) for layer in layers)
    most = max(MOST_STEPS, *(layer.iterations for layer in layers))
    atoms = list(range(max(model.encoder.filters)))
    choices, narrow = _choices(atoms), {"min_width": 110}
    price = "λ, the price of a coefficient"
    sparsity = gr.Slider(0, strongest, label=price)
    steps = gr.Slider(1, most, step=1, label="Solver steps")
    share = "Coefficients kept, % of those that are not 0"
    kept = gr.Slider(0, 100, 100, step=0.5, label=share)
    toggles = gr.HTML(js_on_load=TOGGLE, elem_id="kx-toggles")
    off = gr.CheckboxGroup(atoms, visible=False)
    with gr.Group(), gr.Row():
        boosted = gr.Dropdown(choices, label="Boost atom", **narrow)
        factor = gr.Slider(0, 4, 1, step=0.1, label="times", min_width=130)
    with gr.Group(), gr.Row():
        swapped = [
            gr.Dropdown(choices, label=label, **narrow)
            for label in ("Swap atom", "with atom")
        ]
    return [sparsity, steps, kept, off, boosted, factor, *swapped], toggles


def _settings(model, seen, number):
    """The controls as the model codes an image, in their order."""
    layer = model.encoder.coding_layers[number - 1]
    stage = seen.explanation.stages[number - 1]
    own, taken, most = layer.sparsity, layer.iterations, MOST_STEPS
    if panels.is_photograph(seen.image):
        most = STEPS_OF_PHOTOGRAPH
    choices = _choices(panels.strongest(stage, seen.image))
    no_atom = {"choices": choices, "value": -1}
    return [
        gr.Slider(
            maximum=_most_sparsity(layer), value=own, step=own / 50 or 0.01
        ),
        gr.Slider(maximum=max(most, taken), value=taken),
        100,
        [],
        gr.Dropdown(**no_atom),
        1,
        gr.Dropdown(**no_atom),
        gr.Dropdown(**no_atom),
        panels.atom_toggles(stage, seen.image),
    ]


def _changes(number, sparsity, steps, kept, off, boosted, factor, *swap):
    factors = {boosted: factor} if boosted >= 0 else {}
    factors |= dict.fromkeys(off, 0)
    swap = tuple(swap) if min(swap) >= 0 and swap[0] != swap[1] else None
    return Changes(number, sparsity, steps, kept / 100, factors, swap)


def sample_tab(page):
    if page.model.encoder.features != "vector":
        gr.HTML(filled("no_samples", True))
        return
    if page.model.density is None:
        gr.HTML(filled("no_samples", False))
    else:
        _draw(page)
    about = "from the image that is chosen to the one that you press here"
    gr.HTML(filled("heading", "Walk between two images", about))
    buttons = panels.picker(page.examples)
    ends = gr.HTML(buttons, js_on_load=PICK, elem_id="kx-ends")
    panel = gr.HTML(elem_id="kx-walk")
    page.empty(panel)

    def walked(seen, event: gr.EventData):
        end = page.image(str(event.key))
        made = page.model.interpolate(seen.image[None], end[None], FRAMES)
        return panels.images_panel(
            made[0],
            [f"{share:.0%}" for share in np.linspace(0, 1, FRAMES)],
            "On the way",
            "along a great circle of the features",
        )

    listen(ends.select, page.of_seen(walked), [page.chosen], [panel])


def _draw(page):
    known = np.flatnonzero(page.model.density.priors)
    classes = [("any", -1), *((str(label), int(label)) for label in known)]
    wide = {"min_width": 200}
    with gr.Row():
        label = gr.Dropdown(classes, value=-1, label="Class", min_width=120)
        heat = gr.Slider(0, 2, 1, step=0.05, label="Temperature", **wide)
        seed = gr.Slider(0, 999, 0, step=1, label="Seed", **wide)
    controls = [label, heat, seed]

    def drawn(label, temperature, seed):
        made = page.model.sample(DRAWN, label, int(seed), float(temperature))
        return panels.images_panel(
            made,
            [],
            "Images that never were",
            "drawn from the density of the features, and decoded",
        )

    panel = gr.HTML(drawn(-1, 1.0, 0), elem_id="kx-sample")
    live = {"trigger_mode": "always_last", "show_progress": "hidden"}
    for control in controls:
        listen(control.input, drawn, controls, [panel], **live)


def restore_tab(page):
    tasks = [(label, name) for name, label in damage.TASKS.items()]
    with gr.Row():
        with gr.Column(scale=2, min_width=260):
            task = gr.Radio(tasks, value="add noise", label="What to do")
            label = "Noise, of 255 levels"
            noise = gr.Slider(5, 75, 25, step=1, label=label)
            label = "Missing pixels, %"
            share = gr.Slider(5, 80, 25, step=5, label=label)
            seed = gr.Slider(0, 99, 0, step=1, label="Seed")
            start = gr.Button("Restore", variant="primary")
            gr.HTML(filled("restoring", damage.SIDE))
        with gr.Column(scale=3, min_width=300, elem_classes="kx-first"):
            nothing = filled("note", "Nothing is restored yet.")
            panel = gr.HTML(nothing, elem_id="kx-restore")
            page.empty(panel, nothing)
    inputs = [page.chosen, task, noise, share, seed]
    listen(start.click, page.of_seen(_restored), inputs, [panel])


def _switched_off(event: gr.EventData):
    return event.keys


def _choices(atoms):
    """What a list of atoms, or none of them, has to choose from."""
    return [("none", -1), *((str(atom), atom) for atom in atoms)]


def _most_sparsity(layer):
    """The largest `λ` that a layer's program is solved with."""
    return 5 * layer.sparsity or 1.0


def _restored(seen, task, noise, share, seed, progress=gr.Progress()):
    found = damage.restore_detail(
        seen.image,
        task,
        noise,
        share / 100,
        int(seed),
        lambda done, total: progress((done, total), desc="Restoring"),
    )
    return filled("restored", found)
