"""Flags of absl, whose values are checked when they are parsed.

`sections_of` makes flags of a text. A `Command` holds its flags.
"""

import ast
import collections
import difflib
import functools
import importlib.util
import math
import os
import pathlib
import re
import textwrap
import types

from absl import flags

ROOT = pathlib.Path(importlib.util.find_spec("keras_csc").origin).parent

Flag = collections.namedtuple("Flag", ["name", "default", "parser", "help"])
Flag.__doc__ = """A flag; without a parser of absl's it is on or off."""

Command = collections.namedtuple(
    "Command",
    ["description", "sections", "needed", "check", "unnamed"],
    defaults=[(), None, None],
)
Command.__doc__ = """The flags of a command, and what it says of them.

Fields:
    description: str, the head of its help.
    sections: dict of lists of `Flag`, by what they are about.
    needed: names of flags that have to be given; of `a|b`, one.
    check: function of the options, or `None`; raises `UsageError` for flags
        that do not go together.
    unnamed: name of what an argument without a name is, or `None`.
"""

# === Parsers ===


class Number(flags.FloatParser):
    """Parses a finite number within bounds."""

    def is_outside_bounds(self, value):
        return not math.isfinite(value) or super().is_outside_bounds(value)


class Numbers(flags.ArgumentParser):
    """Parses numbers, which commas separate, to a list.

    Args:
        most: int, how many there may be.
        *bounds: of each number.
    """

    def __init__(self, most, *bounds):
        self.most = most
        self.number = Number(*bounds)
        self.syntactic_help = f"one number, or up to {most} with commas"

    def parse(self, argument):
        words = argument.split(",")
        if len(words) > self.most:
            raise ValueError(f"it must be {self.syntactic_help}.")
        return [self.number.parse(word) for word in words]

    def flag_type(self):
        return "float"


class Text(flags.ArgumentParser):
    """Parses a text that is not empty."""

    def parse(self, argument):
        if not argument.strip():
            raise ValueError("it is empty. Give a value, or leave it out.")
        return argument


class Path(Text):
    """Parses a path. `~` is the home folder, which not every shell puts in.

    Args:
        *endings: endings that it may have; without them, any.
    """

    def __init__(self, *endings):
        self.endings = endings

    def parse(self, argument):
        path = os.path.expanduser(super().parse(argument))
        if self.endings and not path.lower().endswith(self.endings):
            raise ValueError(f"it must end in {' or '.join(self.endings)}.")
        return path


class Folder(Path):
    """Makes a path absolute, unless it is a URI such as `gs://`."""

    def parse(self, argument):
        path = super().parse(argument)
        return path if "://" in path else os.path.abspath(path)


class Pattern(flags.ArgumentParser):
    """Parses a text that is the whole of a regular expression.

    Args:
        pattern: the expression.
        form: what it looks like, in the help.
        example: a value.
    """

    def __init__(self, pattern, form, example):
        self.pattern = pattern
        self.syntactic_help = f"{form}, as {example}"

    def parse(self, argument):
        if not re.fullmatch(self.pattern, argument, re.ASCII):
            raise ValueError(f"it must be {self.syntactic_help}.")
        return argument


class Choices(flags.ListParser):
    """Parses some of a few texts, separated by commas, to a list."""

    def __init__(self, choices):
        super().__init__()
        self.choices = tuple(choices)

    def parse(self, argument):
        return [known(name, self.choices) for name in super().parse(argument)]


class Arguments(flags.ArgumentParser):
    """Parses `name=value,name=value,...` to a dict; values may be lists.

    The class whose arguments they are checks the values.

    Args:
        known: dict of `arguments_of`.
        strict: bool, whether other names are an error.
    """

    def __init__(self, known, strict=True):
        self.known = known
        self.strict = strict

    def parse(self, argument):
        if not isinstance(argument, str):
            return argument
        found = {}
        for name, words in words_of(argument).items():
            if self.strict:
                known(name, self.known)
            default, _ = self.known.get(name, (None, None))
            values = list(map(_value, words))
            is_list = len(values) > 1 or isinstance(default, (list, tuple))
            found[name] = values if is_list else values[0]
        return found

    def help(self):
        """Lines of the names, with their defaults and their texts."""
        lines = []
        for name, (value, text) in self.known.items():
            value = list(value) if isinstance(value, tuple) else value
            lines.append(f"{name}={text_of(value).lower()}  {text}")
        return "\n".join(lines)


def known(name, names):
    """A name; raises `ValueError` if it is not among those known."""
    if name in names:
        return name
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise ValueError(
        f"there is no {name!r:.40}; it has {', '.join(names)}.{hint}"
    )


def words_of(text):
    """`a=1,b=2,3` as `{"a": ["1"], "b": ["2", "3"]}`."""
    found = {}
    for word in text.split(","):
        name, equals, value = word.partition("=")
        if equals:
            found[name.strip()] = values = []
        elif not found:
            raise ValueError(
                f"it must be name=value,name=value; {word!r:.40} has no name."
            )
        values.append((value if equals else word).strip())
    return found


def _value(word):
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(word.lower(), word)


@functools.cache
def arguments_of(module, name, without=()):
    """The arguments of a class's constructor, without an import of the class.

    The class is in a module below `keras_csc/`. Its import would import
    TensorFlow, which takes seconds.

    Returns:
        Dict from names to `(default, text)`, the text of the docstring.
    """
    body = ast.parse((ROOT / module).read_text(encoding="utf-8")).body
    found = _named(body, name)
    section = re.search(
        r"^Args:\n(.*?)(?:\n\n|\Z)", ast.get_docstring(found), re.S | re.M
    )
    texts = _entries(section[1])
    given = _named(found.body, "__init__").args
    names = [each.arg for each in given.args][-len(given.defaults) :]
    return {
        each: (ast.literal_eval(default), texts[each])
        for each, default in zip(names, given.defaults)
        if each not in without
    }


def _entries(text):
    """Texts by name, of lines such as `name: text`."""
    found = re.findall(r"^(\w+): (.*(?:\n .*)*)", textwrap.dedent(text), re.M)
    return {name: " ".join(each.split()) for name, each in found}


def _named(body, name):
    return next(node for node in body if getattr(node, "name", None) == name)


# === Flags ===


class ArgumentsFlag(flags.Flag):
    """A flag that adds to what it was given before."""

    def parse(self, argument):
        before = self.value if self.present else {}
        self.value = {**before, **self._parse(argument)}
        self.present += 1


def text_of(value):
    """A value of a flag, as it is typed."""
    if isinstance(value, dict):
        words = (f"{name}={text_of(each)}" for name, each in value.items())
        return ",".join(words)
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def sections_of(text, **given):
    """Lists of `Flag` by what they are about.

    Args:
        text: the titles, each with a colon, and below each the names of flags
            with their help, as a docstring has arguments.
        **given: by name, the default of a flag that is on or off, or a tuple
            of a default and a parser of absl's.
    """
    parts = re.split(r"^(\S.*):\n", text.strip() + "\n", flags=re.M)[1:]
    return {
        title: [
            Flag(name, *given[name], each)
            if isinstance(given[name], tuple)
            else Flag(name, given[name], None, each)
            for name, each in _entries(entries).items()
        ]
        for title, entries in zip(parts[::2], parts[1::2])
    }


def define(sections, flag_values):
    """Defines the flags of a command's sections."""
    for title, section in sections.items():
        for name, default, parser, text in section:
            where = {"flag_values": flag_values, "module_name": title}
            if parser is None:
                flags.DEFINE_bool(name, default, text, **where)
            elif isinstance(parser, Arguments):
                text = f"{text}\n{parser.help()}"
                flag = ArgumentsFlag(parser, None, name, default, text)
                flags.DEFINE_flag(flag, **where)
            else:
                flags.DEFINE(parser, name, default, text, **where)


def values(sections, flag_values):
    """The values of the flags of a command, and of no other, as a namespace."""
    names = (each.name for each in sum(sections.values(), []))
    return types.SimpleNamespace(**{n: flag_values[n].value for n in names})


def help_text(command, flag_values):
    """Text of a `Command` and its flags."""
    sections = map(flag_values.module_help, command.sections)
    return "\n".join([command.description.strip(), *sections])
