"""What GitHub shows as it is, for Sphinx.

Links from pages to files of the repository that are no pages become their
paths. Docstrings, which are Markdown as those of Keras are, become
reStructuredText.
"""

import inspect
import pathlib
import re

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\./[^)#\s]*)[^)\s]*\)")
WEB_LINK = re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+)\)")
SECTION = re.compile(r"^(Input shape|Output shape): (.+)$")
FENCE = re.compile(r"^(\s*)```(\w*)\s*$")


def without_outer_links(app, name, source):
    """Replaces links that leave the documentation by the paths."""
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
    """Markdown's fences and links of a docstring, in reStructuredText."""
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
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("source-read", without_outer_links)
    app.connect("autodoc-process-docstring", as_rst, priority=100)
    app.connect("autodoc-process-signature", of_constructor)
    return {"parallel_read_safe": True}
