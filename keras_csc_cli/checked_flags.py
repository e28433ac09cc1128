"""Flags as absl's, whose values are checked where they are parsed.

Numbers are finite and within bounds, texts are not empty, and choices are
among those that there are. `help_text` lists the flags in groups.
"""

import math
import os
import re
import textwrap

from keras_csc_cli.arguments import Arguments
from keras_csc_cli.arguments import ArgumentsFlag
from keras_csc_cli.arguments import Serializer

from absl import flags

WIDTH, INDENT = 80, 6  # of help


class Number:
    """Parses a finite number within bounds; `why` says why there is an upper.

    To be mixed with a numeric parser of absl's, which has the bounds.
    """

    why = ""

    def parse(self, argument):
        try:
            return super().parse(argument)
        except (OverflowError, TypeError, ValueError):
            why = self.why and f" ({self.why})"
            raise ValueError(f"it must be {self.syntactic_help}{why}") from None

    def is_outside_bounds(self, value):
        return not math.isfinite(value) or super().is_outside_bounds(value)


class Integer(Number, flags.IntegerParser):
    """A whole number."""


class Float(Number, flags.FloatParser):
    """A number."""


class Text(flags.ArgumentParser):
    """Parses a text that is not empty."""

    def parse(self, argument):
        if not argument.strip():
            raise ValueError("it is empty. Give a value, or leave it out.")
        return argument

    def flag_type(self):
        return "string"


class Path(Text):
    """Parses a path: `~` is the home folder, which not every shell puts in."""

    def parse(self, argument):
        return os.path.expanduser(super().parse(argument))


class Choices(flags.ListParser):
    """Parses some of a few texts, separated by commas.

    Args:
        choices: tuple of str.
    """

    def __init__(self, choices):
        super().__init__()
        self.choices = choices

    def parse(self, argument):
        found = super().parse(argument)
        for name in found:
            if name not in self.choices:
                raise ValueError(
                    f"there is no {name!r:.40}; it has "
                    f"{', '.join(self.choices)}."
                )
        return found


class Pattern(flags.ArgumentParser):
    """Parses a text that is the whole of a regular expression.

    Args:
        pattern: the expression.
        form: what it looks like, in the help.
        example: a value.
    """

    def __init__(self, pattern, form, example):
        self.pattern, self.form, self.example = pattern, form, example

    def parse(self, argument):
        if not re.fullmatch(self.pattern, argument, re.ASCII):
            raise ValueError(f"it must be {self.form}, as {self.example}.")
        return argument

    def flag_type(self):
        return "string"


class Numbers(flags.ArgumentParser):
    """Parses one number or two, which a comma separates.

    Args:
        least, most: the bounds of each.
    """

    form = "X[,X]"

    def __init__(self, least, most):
        self.number = Float(least, most)

    def parse(self, argument):
        words = argument.split(",")
        if len(words) > 2:
            raise ValueError("it must be one number or two.")
        return [self.number.parse(word) for word in words]

    def flag_type(self):
        return "float"


class Definitions:
    """Defines flags, one with each call.

    Args:
        flag_values: absl's flags, to which they are added.
    """

    def __init__(self, flag_values):
        self._to = {"flag_values": flag_values}

    def boolean(self, name, default, help):
        """A flag that is on or off."""
        flags.DEFINE_bool(name, default, help, **self._to)

    def enum(self, name, default, choices, help):
        """A flag that is one of some texts."""
        flags.DEFINE_enum(name, default, choices, help, **self._to)

    def list(self, name, default, help):
        """A flag of texts that commas separate."""
        flags.DEFINE_list(name, default, help, **self._to)

    def some(self, name, default, choices, help):
        """A flag of some of a few texts, which commas separate."""
        serializer = flags.CsvListSerializer(",")
        self._parsed(Choices(tuple(choices)), name, default, help, serializer)

    def string(self, name, default, help):
        """A flag of a text that is not empty."""
        self._parsed(Text(), name, default, help)

    def path(self, name, default, help):
        """A flag of a file or folder, or of a name or URI in its place."""
        self._parsed(Path(), name, default, help)

    def integer(self, name, default, help, least=None, most=2**31 - 1, why=""):
        """A flag of a whole number."""
        self._number(Integer(least, most), name, default, help, why)

    def float(self, name, default, help, least=None, most=1e9, why=""):
        """A flag of a finite number."""
        self._number(Float(least, most), name, default, help, why)

    def _number(self, parser, name, default, help, why):
        parser.why = why
        self._parsed(parser, name, default, help)

    def numbers(self, name, default, help, least=None, most=1e9):
        """A flag of one finite number or two; it is a list."""
        serializer = flags.ListSerializer(",")
        self._parsed(Numbers(least, most), name, default, help, serializer)

    def pattern(self, name, default, pattern, form, example, help):
        """A flag of a text of a form, as of `Pattern`."""
        self._parsed(Pattern(pattern, form, example), name, default, help)

    def arguments(self, name, known, help):
        """A flag of arguments of a class, as `of_class`; it is a dict."""
        flag = ArgumentsFlag(Arguments(known), Serializer(), name, {}, help)
        flags.DEFINE_flag(flag, **self._to)

    def _parsed(self, parser, name, default, help, serializer=None):
        serializer = serializer or flags.ArgumentSerializer()
        flags.DEFINE(
            parser, name, default, help, serializer=serializer, **self._to
        )


def help_text(command, flag_values, full=False):
    """Text of a `Command` and its flags.

    Args:
        command: the `Command`.
        flag_values: absl's flags, all of them.
        full: bool, whether to list the flags that are not the command's, too.
    """
    lines = [command.description.strip(), "", "Flags to begin with"]
    if command.flag_files:
        lines += _flag("--flagfile=FILE", command.flag_files)
    shown = {"flagfile"}
    for name in command.first:
        lines += _described(flag_values[name])
        shown.add(name)
    for title, section in command.sections.items():
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
    kinds = {"int": "N", "float": "X", "arguments": "NAME=VALUE,..."}
    value = kinds.get(flag.flag_type(), "VALUE")
    value = getattr(flag.parser, "form", value)
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
