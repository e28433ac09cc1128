"""The explorer's page, of Gradio, which the extra `explore` installs.

Its tabs are in `tabs`, the panels that they show in `panels`.
"""

import functools

import gradio as gr
from starlette.middleware import Middleware

from keras_csc import html
from keras_csc.explorer import panels
from keras_csc.explorer import tabs
from keras_csc.explorer.changing import look
from keras_csc.explorer.chosen import read_upload
from keras_csc.explorer.guard import HOST
from keras_csc.explorer.guard import Guard
from keras_csc.explorer.panels import filled
from keras_csc.explorer.tabs import PICK
from keras_csc.explorer.tabs import listen

IMAGE_FILES = [".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"]
MOST_BYTES = 20 * 2**20  # of an upload
SESSIONS = 8
SECONDS_KEPT = 3600


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


class _Page:
    """What the parts of a page share.

    The chosen image and the atoms that are off are kept in the browser, in
    controls that nobody sees: Gradio forgets a session after `SESSIONS` others,
    and its state would begin again.
    """

    def __init__(self, model, name, examples):
        self.model, self.examples = model, examples
        self.uploads = set()
        self.seen = functools.lru_cache(SESSIONS)(
            lambda chosen: look(model, self.image(chosen))
        )
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
                    for title, make in tabs.of(self).items():
                        with gr.Tab(title):
                            make(self)
            self._refresh_on_choice()

    def image(self, chosen):
        """An image by its number among the examples, or the file uploaded."""
        if chosen in self.uploads:
            return read_upload(chosen, self.model.encoder)[0]
        numbers = [str(number) for number in range(len(self.examples))]
        if chosen not in numbers:
            raise ValueError("This image is not known here: choose another.")
        return self.examples[int(chosen)].image

    def of_seen(self, function):
        """A handler of what is chosen, by a function of what is seen of it."""

        @functools.wraps(function)
        def handler(chosen, *args, **kwargs):
            return function(self.seen(chosen), *args, **kwargs)

        return handler

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
            listen(self.picker.select, _choose, None, both),
            listen(self.upload.upload, self._read, *read),
        ):
            for function, inputs, outputs in self.refreshed:
                event = listen(event.success, function, inputs, outputs)

    def empty(self, panel, text=""):
        """What a panel says of an image is not of the next one."""
        self.refreshed.insert(0, (lambda: text, None, [panel]))


def _choose(event: gr.EventData):
    return str(event.key), ""
