"""The documentation, built by `make docs`."""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_csc.version import __version__  # noqa: E402

project = "keras_csc"
author = "The keras_csc authors"
copyright = f"2026, {author}. Apache 2.0"
version = release = __version__

extensions = [
    "myst_nb",
    "repository_pages",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "_ext"]
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
