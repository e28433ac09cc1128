"""The explorer's page, of Gradio, which the extra `explore` installs.

It wires controls to the functions of this package; what these do is tested
without it.
"""

import functools

import gradio as gr
import numpy as np
from starlette.middleware import Middleware

from keras_csc import html
from keras_csc.explorer import damage
from keras_csc.explorer import panels
from keras_csc.explorer.changing import Changes
from keras_csc.explorer.changing import change
from keras_csc.explorer.changing import look
from keras_csc.explorer.guard import HOST
from keras_csc.explorer.guard import Guard
from keras_csc.explorer.panels import DRAWN
from keras_csc.explorer.panels import FRAMES
from keras_csc.explorer.panels import filled
from keras_csc.explorer.reading import MOST_BYTES
from keras_csc.explorer.reading import read_upload

MOST_STEPS, STEPS_OF_PHOTOGRAPH = 50, 5
IMAGE_FILES = [".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"]
SESSIONS = 8
SECONDS_KEPT = 3600
# Buttons of which one is pressed, or each on its own.
PICK, TOGGLE = html.file("pick.js"), html.file("toggle.js")
TASKS = {
    "Add noise, and remove it": "add noise",
    "Remove the noise that it has": "has noise",
    "Make holes, and fill them in": "holes",
}


def build(model, name, examples):
    """The page of a model.

    Args:
        model: `ClosedLoopAutoencoder`.
        name: str, what the model is called.
        examples: list of `Example`, one or more.

    Returns:
        `gradio.Blocks`, for `serve`.
    """
    return _Page(model, name, examples).blocks


def serve(blocks, port=None, browser=False):
    """Begins to serve a page to this machine alone.

    Args:
        blocks: of `build`.
        port: int, or `None` for the first free one from 7860 on.
        browser: bool, whether to open it.

    Returns:
        URL of the page, a str. `blocks.close()` ends it.

    Raises:
        OSError: if the port is taken.
    """
    # Words are of the system's fonts, and dark enough to be read.
    theme = gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        font=("system-ui", "sans-serif"),
        font_mono=("ui-monospace", "monospace"),
    ).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
    )
    _, url, _ = blocks.queue(api_open=False).launch(
        server_name=HOST,
        server_port=port,
        inbrowser=browser,
        share=False,
        quiet=True,
        show_error=True,
        prevent_thread_lock=True,
        max_file_size=MOST_BYTES,
        app_kwargs={"openapi_url": None, "middleware": [Middleware(Guard)]},
        footer_links=[],
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        run_history=False,
        pwa=False,
        state_session_capacity=SESSIONS,
        theme=theme,
        css=html.file("explorer.css"),
    )
    return url


def _event(trigger, function, inputs, outputs, **how):
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


class _Page:
    """What the parts of a page share.

    What is chosen, and the atoms that are off, are kept by the page in the
    browser, in controls that nobody sees: a session of Gradio's is forgotten
    after `SESSIONS` others, and what it held is as at first then.
    """

    def __init__(self, model, name, examples):
        self.model, self.examples = model, examples
        self.uploads = set()
        self.seen = functools.lru_cache(SESSIONS)(self._seen)
        self.first = self.seen("0")
        self.refreshed = []
        with gr.Blocks(
            title=f"{name}: keras_csc explorer",
            analytics_enabled=False,
            delete_cache=(SECONDS_KEPT, SECONDS_KEPT),
        ) as self.blocks:
            self.chosen = gr.Textbox("0", visible=False)
            title = filled("title", name, model.encoder)
            gr.HTML(title, elem_classes="kx-title")
            with gr.Row():
                with gr.Column(scale=1, min_width=240):
                    self._choice()
                with gr.Column(scale=4, min_width=320), gr.Tabs():
                    self._tabs()
            self._refresh_on_choice()

    def _tabs(self):
        with gr.Tab("Look"):
            self._look()
        if self.first.explanation is not None:
            with gr.Tab("Change"):
                self._change()
        with gr.Tab("Sample"):
            self._sample()
        if self.model.encoder.features == "map":
            with gr.Tab("Restore"):
                self._restore()

    def _image(self, chosen):
        """An image by its number among the examples, or the file uploaded."""
        if chosen in self.uploads:
            try:
                return read_upload(chosen, self.model.encoder)[0]
            except OSError as error:
                raise ValueError(
                    "Your image was removed since: upload it again."
                ) from error
        numbers = [str(number) for number in range(len(self.examples))]
        if chosen not in numbers:
            raise ValueError("This image is not known here: choose another.")
        return self.examples[int(chosen)].image

    def _seen(self, chosen):
        return look(self.model, self._image(chosen))

    def _of_seen(self, function):
        """A handler of what is chosen, by a function of a `Look` of it."""

        @functools.wraps(function)
        def handler(chosen, *args, **kwargs):
            return function(self.seen(chosen), *args, **kwargs)

        return handler

    # --- choice ---

    def _choice(self):
        buttons = panels.picker(self.examples, 0)
        self.picker = gr.HTML(buttons, js_on_load=PICK, elem_id="kx-choose")
        self.upload = gr.UploadButton(
            "Upload an image", file_types=IMAGE_FILES, variant="primary"
        )
        self.said = gr.HTML(elem_id="kx-said")

    def _read(self, path):
        _, said = read_upload(path, self.model.encoder)
        self.uploads.add(path)
        said = filled("note", f"Your image: {said}.")
        return path, said, panels.picker(self.examples)

    def _refresh_on_choice(self):
        """What depends on the image, after one is chosen."""
        both = [self.chosen, self.said]
        read = [self.upload], [*both, self.picker]
        for event in (
            _event(self.picker.select, _choose, None, both),
            _event(self.upload.upload, self._read, *read),
        ):
            for function, inputs, outputs in self.refreshed:
                event = _event(event.success, function, inputs, outputs)

    def _empty(self, panel, text=""):
        """What a panel says of an image is not of the next one."""
        self.refreshed.insert(0, (lambda: text, None, [panel]))

    # --- look ---

    def _look(self):
        panel = gr.HTML(panels.look_panel(self.first), elem_id="kx-look")
        overview = self._of_seen(panels.look_panel)
        self.refreshed.append((overview, [self.chosen], [panel]))
        if self.first.explanation is None:
            return
        number = self._stages("Atoms of stage", "kx-stage-look")
        atoms = gr.HTML(panels.stage_panel(self.first, 1), elem_id="kx-atoms")
        shown = (
            self._of_seen(panels.stage_panel),
            [self.chosen, number],
            [atoms],
        )
        _event(number.input, *shown)
        self.refreshed.append(shown)

    def _stages(self, label, name):
        count = len(self.first.explanation.stages)
        names = [("1, next to the image", 1)]
        names += [(str(number), number) for number in range(2, count + 1)]
        return gr.Radio(names, value=1, label=label, elem_id=name)

    # --- change ---

    def _change(self):
        with gr.Row():
            with gr.Column(scale=2, min_width=260):
                number = self._stages("Codes of stage", "kx-stage-change")
                controls = self._controls()
                again = gr.Button("As it was", size="sm")
            with gr.Column(scale=3, min_width=300, elem_classes="kx-first"):
                panel = gr.HTML(elem_id="kx-change")
        inputs = [self.chosen, number]
        fresh = self._of_seen(self._settings), inputs, [*controls, self.toggles]
        apply = self._of_seen(self._applied), [*inputs, *controls], [panel]
        for trigger in (number.input, again.click, self.blocks.load):
            _event(_event(trigger, *fresh).success, *apply)
        live = {"trigger_mode": "always_last", "show_progress": "minimal"}
        for control in controls:
            if control is not self.off:
                _event(control.input, *apply, **live)
        toggled = self.toggles.input
        event = _event(toggled, _switched_off, None, [self.off], **live)
        _event(event.success, *apply, **live)
        self.refreshed += [fresh, apply]

    def _controls(self):
        # Wide enough for every stage: of a session that was forgotten, Gradio
        # checks values as if no image had set the controls yet.
        layers = self.model.encoder.coding_layers
        strongest = max(_most_sparsity(layer) for layer in layers)
        most = max(MOST_STEPS, *(layer.iterations for layer in layers))
        atoms = list(range(max(self.model.encoder.filters)))
        choices, narrow = _choices(atoms), {"min_width": 110}
        price = "λ, the price of a coefficient"
        sparsity = gr.Slider(0, strongest, label=price)
        steps = gr.Slider(1, most, step=1, label="Solver steps")
        share = "Coefficients kept, % of those that are not 0"
        kept = gr.Slider(0, 100, 100, step=0.5, label=share)
        self.toggles = gr.HTML(js_on_load=TOGGLE, elem_id="kx-toggles")
        self.off = gr.CheckboxGroup(atoms, visible=False)
        with gr.Group(), gr.Row():
            boosted = gr.Dropdown(choices, label="Boost atom", **narrow)
            factor = gr.Slider(0, 4, 1, step=0.1, label="times", min_width=130)
        with gr.Group(), gr.Row():
            swapped = [
                gr.Dropdown(choices, label=label, **narrow)
                for label in ("Swap atom", "with atom")
            ]
        return [sparsity, steps, kept, self.off, boosted, factor, *swapped]

    def _settings(self, seen, number):
        """The controls as the model codes an image, in their order."""
        layer = self.model.encoder.coding_layers[number - 1]
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

    def _applied(self, seen, number, *values):
        sparsity, steps, kept, off, boosted, factor, *swap = values
        changes = Changes(
            number,
            sparsity,
            steps,
            kept / 100,
            tuple(off),
            {} if boosted < 0 else {boosted: factor},
            tuple(swap) if min(swap) >= 0 and swap[0] != swap[1] else None,
        )
        return panels.change_panel(seen, change(self.model, seen, changes))

    # --- sample ---

    def _sample(self):
        if self.model.encoder.features != "vector":
            gr.HTML(filled("no_samples", True))
            return
        if self.model.density is None:
            gr.HTML(filled("no_samples", False))
        else:
            self._draw()
        about = "from the image that is chosen to the one that you press here"
        gr.HTML(filled("heading", "Walk between two images", about))
        buttons = panels.picker(self.examples)
        ends = gr.HTML(buttons, js_on_load=PICK, elem_id="kx-ends")
        panel = gr.HTML(elem_id="kx-walk")
        self._empty(panel)
        walked = self._of_seen(self._walked)
        _event(ends.select, walked, [self.chosen], [panel])

    def _draw(self):
        known = np.flatnonzero(self.model.density.priors)
        classes = [("any", -1), *((str(label), int(label)) for label in known)]
        wide = {"min_width": 200}
        with gr.Row():
            label = gr.Dropdown(classes, value=-1, label="Class", min_width=120)
            heat = gr.Slider(0, 2, 1, step=0.05, label="Temperature", **wide)
            seed = gr.Slider(0, 999, 0, step=1, label="Seed", **wide)
        controls = [label, heat, seed]
        panel = gr.HTML(self._drawn(-1, 1.0, 0), elem_id="kx-sample")
        live = {"trigger_mode": "always_last", "show_progress": "hidden"}
        for control in controls:
            _event(control.input, self._drawn, controls, [panel], **live)

    def _drawn(self, label, temperature, seed):
        made = self.model.sample(DRAWN, label, int(seed), float(temperature))
        return panels.images_panel(
            made,
            [],
            "Images that never were",
            "drawn from the density of the features, and decoded",
        )

    def _walked(self, seen, event: gr.EventData):
        end = self._image(str(event.key))
        made = self.model.interpolate(seen.image[None], end[None], FRAMES)
        return panels.images_panel(
            made[0],
            [f"{share:.0%}" for share in np.linspace(0, 1, FRAMES)],
            "On the way",
            "along a great circle of the features",
        )

    # --- restore ---

    def _restore(self):
        hidden = {"visible": False}
        holes, tasks = list(damage.HOLES), list(TASKS.items())
        with gr.Row():
            with gr.Column(scale=2, min_width=260):
                task = gr.Radio(tasks, value="add noise", label="What to do")
                label = "Noise, of 255 levels"
                noise = gr.Slider(5, 75, 25, step=1, label=label)
                holes = gr.Radio(holes, value=holes[0], label="Holes", **hidden)
                label = "Missing, %"
                share = gr.Slider(5, 80, 25, step=5, label=label, **hidden)
                seed = gr.Slider(0, 99, 0, step=1, label="Seed")
                start = gr.Button("Restore", variant="primary")
                gr.HTML(filled("restoring", damage.SIDE))
            with gr.Column(scale=3, min_width=300, elem_classes="kx-first"):
                nothing = filled("note", "Nothing is restored yet.")
                panel = gr.HTML(nothing, elem_id="kx-restore")
                self._empty(panel, nothing)
        _event(task.input, _visible, [task], [noise, holes, share])
        inputs = [self.chosen, task, noise, holes, share, seed]
        _event(start.click, self._of_seen(_restored), inputs, [panel])


def _choose(event: gr.EventData):
    return str(event.key), ""


def _switched_off(event: gr.EventData):
    return event.keys


def _choices(atoms):
    """What a list of atoms, or none of them, has to choose from."""
    return [("none", -1), *((str(atom), atom) for atom in atoms)]


def _most_sparsity(layer):
    """The largest `λ` that a layer's program is solved with."""
    return 5 * layer.sparsity or 1.0


def _visible(task):
    """Which of the controls of a task are shown."""
    holes = task == "holes"
    return [
        gr.Slider(visible=not holes),
        gr.Radio(visible=holes),
        gr.Slider(visible=holes),
    ]


def _restored(seen, task, noise, holes, share, seed, progress=gr.Progress()):
    found = damage.restore_detail(
        seen.image,
        task,
        noise,
        holes,
        share / 100,
        int(seed),
        lambda done, total: progress((done, total), desc="Restoring"),
    )
    return filled("restored", found)
