"""The explorer's page, of Gradio, which the extra `explore` installs."""

import functools
import json

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from keras_csc import html
from keras_csc.explorer import panels
from keras_csc.explorer.looking import change
from keras_csc.explorer.looking import look
from keras_csc.explorer.looking import names_of_classes
from keras_csc.explorer.looking import read_upload
from keras_csc.explorer.own_pages import OwnPages
from keras_csc.explorer.panels import filled
from keras_csc.validation import check_integer

HOST = "127.0.0.1"
IMAGE_FILES = [".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"]
MOST_BYTES = 20 * 2**20  # of an upload
SESSIONS = 8
SECONDS_KEPT = 3600
MOST_STEPS, STEPS_OF_PHOTOGRAPH = 50, 5  # of the solver
BUTTONS, PLACES = html.file("explorer.js"), html.file("place.js")
ADDRESSES = html.file("address.js")
# How the handlers of sliders answer.
LIVE = {"trigger_mode": "always_last", "show_progress": "minimal"}


def build(model, name, examples, class_names=None):
    """The page of a model, `gradio.Blocks` for `serve`.

    `examples` is a list of `Example`, one or more. `class_names` are of the
    classes of the model's density, by label.
    """
    return _Page(model, name, examples, class_names).blocks


def serve(blocks, port=None):
    """Begins to serve a page to this machine alone, and returns its URL.

    Without a port it is the first free one from 7860 on. `blocks.close()` ends
    it.

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
    # A foreign name that leads here is a DNS rebinding.
    own = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    middleware = [own, Middleware(OwnPages)]
    _, url, _ = blocks.queue(api_open=False).launch(
        server_name=HOST,
        server_port=port,
        share=False,
        quiet=True,
        show_error=True,
        prevent_thread_lock=True,
        max_file_size=MOST_BYTES,
        app_kwargs={"openapi_url": None, "middleware": middleware},
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


def _listen(trigger, function, inputs, outputs, **how):
    """Handles an event, one at a time; no API; errors show in the page."""

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


def _most_sparsity(layer):
    """The largest `λ` that a layer's program is solved with."""
    return 5 * layer.sparsity or 1.0


class _Page:
    """A page and its tabs.

    The chosen image, the atom that is linked to and the weights of atoms are
    kept in the browser, in controls that nobody sees: Gradio forgets a session
    after `SESSIONS` others, and its state would begin again.
    """

    def __init__(self, model, name, examples, class_names):
        self.model, self.examples = model, examples
        self.names = names_of_classes(model, class_names)
        self.uploads = set()
        self.seen = functools.lru_cache(SESSIONS)(
            lambda chosen: look(model, self.image(chosen))
        )
        self.first = self.seen("0")
        # Handlers of what depends on the image, after one is chosen.
        self.refreshed = []
        with gr.Blocks(
            title=f"{name}: keras_csc explorer",
            analytics_enabled=False,
            delete_cache=(SECONDS_KEPT, SECONDS_KEPT),
        ) as self.blocks:
            self.chosen = gr.Textbox("0", visible=False)
            text = filled("title", name, model.encoder)
            title = gr.HTML(text, js_on_load=ADDRESSES, elem_classes="kx-title")
            with gr.Row():
                with gr.Column(scale=1, min_width=240):
                    events = self._choice()
                with gr.Column(scale=4, min_width=320), gr.Tabs() as tabs:
                    with gr.Tab("Look"):
                        self._look_tab()
                    with gr.Tab("Change", id="change"), gr.Row():
                        self._change_tab(title, tabs)
            for event in events:
                for handler in self.refreshed:
                    event = _listen(event.success, *handler)

    def image(self, chosen):
        """An image by its number among the examples, or the file uploaded."""
        if chosen in self.uploads:
            return read_upload(chosen, self.model.encoder)[0]
        if chosen not in map(str, range(len(self.examples))):
            raise ValueError("This image is not known here: choose another.")
        return self.examples[int(chosen)].image

    def of_seen(self, function):
        """A handler of what is chosen, by a function of what is seen of it."""

        @functools.wraps(function)
        def handler(chosen, *args, **kwargs):
            return function(self.seen(chosen), *args, **kwargs)

        return handler

    def _choice(self):
        """The images to choose from; the events of a choice."""
        buttons = panels.picker(self.examples, 0)
        picker = gr.HTML(buttons, js_on_load=BUTTONS, elem_id="kx-choose")
        upload = gr.UploadButton(
            "Upload an image", file_types=IMAGE_FILES, variant="primary"
        )
        said = gr.HTML(elem_id="kx-said")

        def choose(event: gr.EventData):
            return str(event.key), ""

        def read(path):
            _, size = read_upload(path, self.model.encoder)
            self.uploads.add(path)
            note = filled("note", f"Your image: {size}.")
            return path, note, panels.picker(self.examples)

        both = [self.chosen, said]
        return (
            _listen(picker.select, choose, None, both),
            _listen(upload.upload, read, upload, [*both, picker]),
        )

    def _look_tab(self):
        first, image = self.first, panels.look_panel(self.first)
        with gr.Row():
            with gr.Column(scale=1, min_width=240):
                press = gr.HTML(image, js_on_load=PLACES, elem_id="kx-look")
            with gr.Column(scale=3, min_width=300):
                atoms = panels.place_panel(first, *panels.middle(first))
                place = gr.HTML(atoms, elem_id="kx-place")
        overview = gr.HTML(panels.codes_panel(first), elem_id="kx-codes")

        def placed(seen, event: gr.EventData):
            return panels.place_panel(seen, event.row, event.column)

        def renewed(seen):
            return (
                panels.look_panel(seen),
                panels.place_panel(seen, *panels.middle(seen)),
                panels.codes_panel(seen),
            )

        _listen(press.select, self.of_seen(placed), self.chosen, place, **LIVE)
        all_three = [press, place, overview]
        self.refreshed.append((self.of_seen(renewed), self.chosen, all_three))

    def _change_tab(self, title, tabs):
        # Wide enough for every stage: of a session that was forgotten, Gradio
        # checks values as if no image had set the controls yet.
        layers = self.model.encoder.coding_layers
        strongest = max(map(_most_sparsity, layers))
        most = max(MOST_STEPS, *(layer.iterations for layer in layers))
        with gr.Column(scale=2, min_width=260):
            names = [("1, next to the image", 1), *range(2, len(layers) + 1)]
            label, name = "Codes of stage", "kx-stage-change"
            number = gr.Radio(names, value=1, label=label, elem_id=name)
            sliders = [
                gr.Slider(0, strongest, label="λ, the threshold of codes"),
                gr.Slider(1, most, step=1, label="Solver steps"),
            ]
            weights = gr.HTML(js_on_load=BUTTONS, elem_id="kx-weights")
            hidden = gr.Textbox("{}", visible=False)
            linked = gr.Textbox("", visible=False)
            again = gr.Button("As it was", size="sm")
        with gr.Column(scale=3, min_width=300, elem_classes="kx-first"):
            panel = gr.HTML(elem_id="kx-change")

        def applied(seen, stage, sparsity, steps, weights):
            factors = {int(n): x for n, x in json.loads(weights).items()}
            found = change(self.model, seen, stage, sparsity, steps, factors)
            return panels.change_panel(seen, found, self.names)

        def weighed(event: gr.EventData):
            return json.dumps(event.weights)

        def visited(event: gr.EventData):
            stage, atom = event.stage, event.atom
            filters = self.model.encoder.filters
            check_integer(1, len(filters), stage=stage)
            check_integer(0, filters[stage - 1] - 1, atom=atom)
            return gr.Tabs(selected="change"), stage, f"{stage} {atom}"

        inputs, controls = [self.chosen, number], [*sliders, hidden]
        own = self.of_seen(self._own_settings)
        fresh = own, [*inputs, linked], [*controls, weights]
        apply = self.of_seen(applied), [*inputs, *controls], panel
        for trigger in (number.input, again.click, self.blocks.load):
            _listen(_listen(trigger, *fresh).success, *apply)
        for slider in sliders:
            _listen(slider.input, *apply, **LIVE)
        moved = _listen(weights.input, weighed, None, hidden, **LIVE)
        _listen(moved.success, *apply, **LIVE)
        visit = _listen(title.select, visited, None, [tabs, number, linked])
        _listen(_listen(visit.success, *fresh).success, *apply)
        self.refreshed += [fresh, apply]

    def _own_settings(self, seen, number, linked):
        """The controls of codes as the model codes an image, in their order."""
        stage, _, atom = linked.partition(" ")
        atom = int(atom) if stage == str(number) else None
        layer = self.model.encoder.coding_layers[number - 1]
        most = MOST_STEPS
        if panels.is_photograph(seen.image):
            most = STEPS_OF_PHOTOGRAPH
        own, steps = layer.sparsity, layer.iterations
        finest = own / 50 or 0.01
        return [
            gr.Slider(maximum=_most_sparsity(layer), value=own, step=finest),
            gr.Slider(maximum=max(most, steps), value=steps),
            "{}",
            panels.weights_panel(seen, number, atom),
        ]
