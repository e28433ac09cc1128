"""What `--help` prints: the flags in groups, what a newcomer needs first."""

import re
import textwrap

from keras_csc_cli.checked_flags import Definitions

from absl import flags

WIDTH = 80
INDENT = 6


def help_text(options, flag_values, full=False):
    """Text of a script and its flags.

    Args:
        options: module with a `DESCRIPTION`, the names of the `FIRST` flags,
            its `SECTIONS`, and `FLAG_FILES`, the text about these, if it
            takes any.
        flag_values: absl's flags, all of them.
        full: bool, whether to list the flags that are not the script's, too.
    """
    lines = [options.DESCRIPTION.strip(), "", "Flags to begin with"]
    if hasattr(options, "FLAG_FILES"):
        lines += _flag("--flagfile=FILE", options.FLAG_FILES)
    shown = {"flagfile"}
    for name in options.FIRST:
        lines += _described(flag_values[name])
        shown.add(name)
    for title, section in options.SECTIONS.items():
        names = flags.FlagValues()
        section(Definitions(names))
        own = [name for name in names if name not in shown]
        lines += ["", title] if own else []
        for name in own:
            lines += _described(flag_values[name])
        shown.update(own)
    if full:
        lines += ["", "Flags of absl-py"]
        for name in sorted(set(flag_values) - shown):
            if flag_values[name].name == name:
                lines += _described(flag_values[name])
    else:
        lines += ["", "--helpfull lists those of absl-py, too."]
    return "\n".join(lines)


def _described(flag):
    text = " ".join((flag.help or "").split())
    text = re.sub("^<[^>]*>: ", "", text)  # absl's, of choices
    default = flag.default_unparsed
    if default and not flag.boolean:
        text += f" (default: {default})"
    lines = _flag(_usage(flag), text)
    for name, (value, what) in getattr(flag.parser, "known", {}).items():
        lines += _argument(name, value, what)
    return lines


def _argument(name, value, text):
    """An argument that a flag may hold, with its default."""
    words = value if isinstance(value, (list, tuple)) else [value]
    default = ",".join(str(word).lower() for word in words)
    return textwrap.wrap(
        f"{name}={default}  {text}",
        WIDTH,
        initial_indent=" " * (INDENT + 2),
        subsequent_indent=" " * (INDENT + 6),
        break_on_hyphens=False,
    )


def _usage(flag):
    if flag.boolean:
        return f"--[no]{flag.name}"
    choices = getattr(flag.parser, "enum_values", None)
    if choices:
        return f"--{flag.name}={'|'.join(choices)}"
    kind = flag.flag_type()
    value = {
        "int": "N",
        "float": "X",
        "arguments": "NAME=VALUE,...",
        "optimizer": "adam|muon[:X,X]",
    }.get(kind, "VALUE")
    return f"--{flag.name}={value}"


def _flag(usage, text):
    indent = " " * INDENT
    return [
        f"  {usage}",
        *textwrap.wrap(
            text,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            break_on_hyphens=False,
        ),
    ]
