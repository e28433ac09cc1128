"""The documentation, built by `make docs`."""

import inspect
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_csc.version import __version__  # noqa: E402

project = "keras_csc"
author = "The keras_csc authors"
copyright = f"2026, {author}. Apache 2.0"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types in prose are no references

# === Pages ===

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "remove"

# === Reference ===

autodoc_default_options = {"members": True, "undoc-members": False}
autodoc_typehints = "none"
autosummary_generate = True
autosummary_imported_members = True
default_role = "literal"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [
    ("Call arguments", "params_style"),
    ("Fields", "params_style"),
    ("Input shape", "notes_style"),
    ("Output shape", "notes_style"),
    "Reference",
]

# === Look ===

html_theme = "pydata_sphinx_theme"
html_title = f"keras_csc {release}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {
    "logo": {"text": f"keras_csc {release}"},
    # Versions stand beside each other; the list is that of the latest.
    "switcher": {
        "json_url": "../latest/_static/switcher.json",
        "version_match": os.environ.get("DOCS_VERSION", "latest"),
    },
    "check_switcher": False,  # it looks for the list in this folder
    "navbar_end": ["version-switcher", "theme-switcher"],
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"how_to": [], "method": []}  # they are alone in their parts
html_copy_source = False
html_show_sourcelink = False

# === What GitHub shows as it is ===

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\./[^)#\s]*)[^)\s]*\)")
WEB_LINK = re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+)\)")
SECTION = re.compile(r"^(Input shape|Output shape): (.+)$")
FENCE = re.compile(r"^(\s*)```(\w*)\s*$")


def without_outer_links(app, name, source):
    """Replaces links to files of the repository that are no pages by paths."""
    root = pathlib.Path(app.srcdir)
    page = root / f"{name}.md"

    def plain(match):
        text, target = match.groups()
        path = (page.parent / target).resolve()
        if path.is_relative_to(root):
            return match.group()
        path = path.relative_to(root.parent)
        text = " ".join(text.split())
        return f"`{path}`" if "/" in text else f"{text} (`{path}`)"

    source[0] = LINK.sub(plain, source[0])


def as_rst(app, what, name, obj, options, lines):
    """Makes reStructuredText of docstrings, which are Markdown as Keras's."""
    made, indent, inline = [], None, False
    for line in lines:
        fence, section = FENCE.match(line), SECTION.match(line)
        if fence and indent is None:
            indent = fence.group(1)
            made += ["", f"{indent}.. code-block:: {fence.group(2) or 'text'}"]
            made += [""]
        elif fence:
            indent = None
            made.append("")
        elif section:
            made += [f"{section.group(1)}:", f"    {section.group(2)}"]
        elif inline and line.strip():
            made.append(f"    {line.strip()}")
        else:
            shift = "" if indent is None else "    "
            made.append(shift + line if line.strip() else "")
        inline = bool(section or (inline and line.strip()))
    text = WEB_LINK.sub(r"`\1 <\2>`__", "\n".join(made))
    lines[:] = text.split("\n")


def of_constructor(app, what, name, obj, options, signature, returns):
    """The arguments of a class's constructor, which Keras hides."""
    if what != "class" or obj.__init__ is object.__init__:
        return None
    arguments = inspect.signature(obj.__init__)
    own = list(arguments.parameters.values())[1:]
    return str(arguments.replace(parameters=own)), returns


def setup(app):
    app.connect("source-read", without_outer_links)
    app.connect("autodoc-process-docstring", as_rst, priority=100)
    app.connect("autodoc-process-signature", of_constructor)
