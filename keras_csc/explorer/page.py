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

FONTS = (
    *("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue"),
    *("Arial", "sans-serif"),
)
MONOSPACED = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")
MOST_STEPS, STEPS_OF_PHOTOGRAPH = 50, 5
STEP_OF_PERCENT = 0.5
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
NO_DENSITY = (
    "There is nothing to sample: this model has no density of its features. "
    "model.fit_density(images) makes one."
)
NO_VECTORS = (
    "There is nothing to sample: this model has a feature vector at every "
    "place of an image, and no density of whole images."
)


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
        theme=_theme(),
        css=html.file("explorer.css"),
    )
    return url


def _theme():
    """Fonts of the system, and grey words that are dark enough to read."""
    return gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        font=FONTS,
        font_mono=MONOSPACED,
    ).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
    )


def _shown(function):
    """A handler whose mistakes are shown in the page."""

    @functools.wraps(function)
    def handler(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return handler


def _sent(event, name):
    """What a script of the page sends with an event.

    Raises:
        ValueError: of an event that no page of ours sends.
    """
    try:
        return getattr(event, name)
    except (AttributeError, TypeError) as error:  # `TypeError` if it has none
        raise ValueError(f"The event must have {name}.") from error


class _Blocks(gr.Blocks):
    """Blocks whose inputs that no page of ours sends are no failure."""

    async def preprocess_data(self, *args, **kwargs):
        try:
            found = await super().preprocess_data(*args, **kwargs)
            if any(value is None for value in found):
                raise ValueError("a value is missing.")
            return found
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise gr.Error(
                f"The page has no such input: {reason}", print_exception=False
            ) from error


def _event(trigger, function, inputs, outputs, **how):
    """A handler of an event: one at a time, and not part of an API."""
    how = {
        "api_visibility": "private",
        "concurrency_id": "model",
        "concurrency_limit": 1,
        **how,
    }
    return trigger(_shown(function), inputs, outputs, **how)


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
        with _Blocks(
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
        self.picker = gr.HTML(
            panels.picker(self.examples, 0),
            js_on_load=PICK,
            elem_id="kx-choose",
        )
        self.upload = gr.UploadButton(
            "Upload an image", file_types=IMAGE_FILES, variant="primary"
        )
        self.said = gr.HTML(elem_id="kx-said")

    def _choose(self, event: gr.EventData):
        return str(_sent(event, "key")), ""

    def _read(self, path):
        _, said = read_upload(path, self.model.encoder)
        self.uploads.add(path)
        return (
            path,
            filled("note", f"Your image: {said}."),
            panels.picker(self.examples),
        )

    def _refresh_on_choice(self):
        """What depends on the image, after one is chosen."""
        both = [self.chosen, self.said]
        chosen = [
            _event(self.picker.select, self._choose, None, both),
            _event(
                self.upload.upload,
                self._read,
                [self.upload],
                [*both, self.picker],
            ),
        ]
        for event in chosen:
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
        inputs = [self.chosen, number]
        of_stage = self._of_seen(panels.stage_panel)
        _event(number.input, of_stage, inputs, [atoms])
        self.refreshed.append((of_stage, inputs, [atoms]))

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
        fresh = self._of_seen(self._settings), [*controls, self.toggles]
        applied = self._of_seen(self._applied)
        apply = applied, [*inputs, *controls], [panel]
        for trigger in (number.input, again.click, self.blocks.load):
            event = _event(trigger, fresh[0], inputs, fresh[1])
            _event(event.success, *apply)
        live = {"trigger_mode": "always_last", "show_progress": "minimal"}
        for control in controls:
            if control is not self.off:
                _event(control.input, *apply, **live)
        off = [self.off]
        event = _event(self.toggles.input, _switched_off, None, off, **live)
        _event(event.success, *apply, **live)
        self.refreshed += [(fresh[0], inputs, fresh[1]), apply]

    def _controls(self):
        # Wide enough for every stage: of a session that was forgotten, Gradio
        # checks values as if no image had set the controls yet.
        layers = self.model.encoder.coding_layers
        strongest = max(_most_sparsity(layer) for layer in layers)
        most = max(MOST_STEPS, *(layer.iterations for layer in layers))
        atoms = list(range(max(self.model.encoder.filters)))
        sparsity = gr.Slider(
            0, strongest, label="λ, the price of a coefficient"
        )
        steps = gr.Slider(1, most, step=1, label="Solver steps")
        kept = gr.Slider(
            0,
            100,
            value=100,
            step=STEP_OF_PERCENT,
            label="Coefficients kept, % of those that are not 0",
        )
        self.toggles = gr.HTML(js_on_load=TOGGLE, elem_id="kx-toggles")
        self.off = gr.CheckboxGroup(atoms, visible=False)
        choices = _choices(atoms)
        with gr.Group(), gr.Row():
            boosted = gr.Dropdown(choices, label="Boost atom", min_width=110)
            factor = gr.Slider(
                0, 4, value=1, step=0.1, label="times", min_width=130
            )
        with gr.Group(), gr.Row():
            swapped = [
                gr.Dropdown(choices, label=label, min_width=110)
                for label in ("Swap atom", "with atom")
            ]
        return [sparsity, steps, kept, self.off, boosted, factor, *swapped]

    def _settings(self, seen, number):
        """The controls as the model codes an image, in their order."""
        layer = self.model.encoder.coding_layers[number - 1]
        stage = seen.explanation.stages[number - 1]
        atoms = panels.strongest(stage, seen.image)
        own = layer.sparsity
        most = MOST_STEPS
        if panels.is_photograph(seen.image):
            most = STEPS_OF_PHOTOGRAPH
        choices = _choices(atoms)
        return [
            gr.Slider(
                maximum=_most_sparsity(layer),
                value=own,
                step=own / 50 or 0.01,
            ),
            gr.Slider(
                maximum=max(most, layer.iterations), value=layer.iterations
            ),
            100,
            [],
            gr.Dropdown(choices=choices, value=-1),
            1,
            gr.Dropdown(choices=choices, value=-1),
            gr.Dropdown(choices=choices, value=-1),
            panels.atom_toggles(stage, seen.image),
        ]

    def _applied(self, seen, number, *values):
        changes = _changes(number, *values)
        return panels.change_panel(seen, change(self.model, seen, changes))

    # --- sample ---

    def _sample(self):
        if self.model.encoder.features != "vector":
            gr.HTML(filled("note", NO_VECTORS))
            return
        if self.model.density is None:
            gr.HTML(filled("note", NO_DENSITY))
        else:
            self._draw()
        about = "from the image that is chosen to the one that you press here"
        gr.HTML(filled("heading", "Walk between two images", about))
        ends = gr.HTML(
            panels.picker(self.examples), js_on_load=PICK, elem_id="kx-ends"
        )
        panel = gr.HTML(elem_id="kx-walk")
        self._empty(panel)
        walked = self._of_seen(self._walked)
        _event(ends.select, walked, [self.chosen], [panel])

    def _draw(self):
        known = np.flatnonzero(self.model.density.priors)
        classes = [("any", -1), *((str(label), int(label)) for label in known)]
        with gr.Row():
            label = gr.Dropdown(classes, value=-1, label="Class", min_width=120)
            wide = {"min_width": 200}
            temperature = gr.Slider(
                0, 2, 1, step=0.05, label="Temperature", **wide
            )
            seed = gr.Slider(0, 999, 0, step=1, label="Seed", **wide)
        controls = [label, temperature, seed]
        panel = gr.HTML(self._drawn(-1, 1.0, 0), elem_id="kx-sample")
        for control in controls:
            _event(
                control.input,
                self._drawn,
                controls,
                [panel],
                trigger_mode="always_last",
                show_progress="hidden",
            )

    def _drawn(self, label, temperature, seed):
        made = self.model.sample(DRAWN, label, int(seed), float(temperature))
        return panels.images_panel(
            made.numpy(),
            [],
            "Images that never were",
            "drawn from the density of the features, and decoded",
        )

    def _walked(self, seen, event: gr.EventData):
        end = self._image(str(_sent(event, "key")))
        made = self.model.interpolate(seen.image[None], end[None], FRAMES)
        shares = np.linspace(0, 1, FRAMES)
        return panels.images_panel(
            made.numpy()[0],
            [f"{share:.0%}" for share in shares],
            "On the way",
            "along a great circle of the features",
        )

    # --- restore ---

    def _restore(self):
        with gr.Row():
            with gr.Column(scale=2, min_width=260):
                task = gr.Radio(
                    list(TASKS.items()), value="add noise", label="What to do"
                )
                noise = gr.Slider(
                    5, 75, 25, step=1, label="Noise, of 255 levels"
                )
                hidden = {"visible": False}
                names = list(damage.HOLES)
                holes = gr.Radio(
                    names, value="scratches", label="Holes", **hidden
                )
                share = gr.Slider(
                    5, 80, 25, step=5, label="Missing, %", **hidden
                )
                seed = gr.Slider(0, 99, value=0, step=1, label="Seed")
                start = gr.Button("Restore", variant="primary")
                about = (
                    f"The middle {damage.SIDE}×{damage.SIDE} pixels, within "
                    "seconds. keras-csc restore does all of a photograph, and "
                    "better: it takes minutes."
                )
                gr.HTML(filled("note", about))
            with gr.Column(scale=3, min_width=300, elem_classes="kx-first"):
                nothing = filled("note", "Nothing is restored yet.")
                panel = gr.HTML(nothing, elem_id="kx-restore")
                self._empty(panel, nothing)
        _event(task.input, _visible, [task], [noise, holes, share])
        inputs = [self.chosen, task, noise, holes, share, seed]
        _event(start.click, self._of_seen(_restored), inputs, [panel])


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
    return panels.restored_panel(found)


def _changes(
    number,
    sparsity,
    steps,
    kept,
    off,
    boosted,
    factor,
    *swapped,
):
    swap = None
    if min(swapped) >= 0 and swapped[0] != swapped[1]:
        swap = tuple(swapped)
    return Changes(
        number,
        sparsity,
        steps,
        kept / 100,
        tuple(off),
        {} if boosted < 0 else {boosted: factor},
        swap,
    )


def _switched_off(event: gr.EventData):
    return _sent(event, "keys")
