"""Commands, and their flags of absl, whose values parsers check."""

import collections
import difflib
import math
import os
import re
import textwrap
import types

from absl import flags

Flag = collections.namedtuple("Flag", ["name", "default", "parser", "help"])


class Command:
    """A command: its function, its help and its flags.

    Args:
        main: `module.function` of the options, which does its work.
        text: the head of its help. Below it the flags by what they are about:
            titles, each with a colon, and the names of flags with their help,
            as a docstring has arguments.
        needed: names of flags that have to be given; of `a|b`, one.
        check: function of the options, or `None`; raises `UsageError` for flags
            that do not go together.
        unnamed: name of the flag that an argument without a name is, or `None`.
        **given: by name, the default of a flag that is on or off, or a tuple
            of a default and a parser of absl's.

    Attributes:
        description: str, the head of its help.
        sections: dict of lists of `Flag`, by title.
    """

    def __init__(
        self, main, text, needed=(), check=None, unnamed=None, **given
    ):
        self.main, self.needed = main, needed
        self.check, self.unnamed = check, unnamed
        title = re.compile(r"^(\S.*):\n(?=    \w+: )", re.M)
        self.description, *sections = title.split(text.strip() + "\n")
        self.sections = {}
        for title, entries in zip(sections[::2], sections[1::2]):
            section = self.sections[title] = []
            for name, about in _entries(entries).items():
                default = given[name]
                if not isinstance(default, tuple):
                    default = default, flags.BooleanParser()
                section.append(Flag(name, *default, about))


# === Parsers ===


class Number(flags.FloatParser):
    """Parses a finite number within bounds."""

    def is_outside_bounds(self, value):
        return not math.isfinite(value) or super().is_outside_bounds(value)


class Value(flags.ArgumentParser):
    """Parses a text by a function, which raises a `ValueError` for others.

    Args:
        parse: the function.
        form: what it looks like, in the help.
        kind: what absl calls its type.
    """

    def __init__(self, parse, form="", kind="string"):
        self.parse, self.syntactic_help = parse, form
        self.flag_type = lambda: kind


def numbers(most, *bounds):
    """Parses up to `most` numbers, which commas separate, to a list."""
    number, form = Number(*bounds), f"one number, or up to {most} with commas"

    def parse(value):
        words = value.split(",") if isinstance(value, str) else value
        if len(words) > most:
            raise ValueError(f"it must be {form}.")
        return list(map(number.parse, words))

    return Value(parse, form, "float")


def pattern(expression, form, example):
    """Parses a text that is the whole of a regular expression."""
    form = f"{form}, as {example}"

    def parse(value):
        if not re.fullmatch(expression, value, re.ASCII):
            raise ValueError(f"it must be {form}.")
        return value

    return Value(parse, form)


def choices(names):
    """Parses some of a few names, separated by commas, to a list."""
    words = flags.ListParser()
    return Value(
        lambda value: [known(name, names) for name in words.parse(value)],
        words.syntactic_help,
    )


def file(*endings):
    """Parses a path with one of these endings."""

    def parse(value):
        value = PATH.parse(value)
        if not value.lower().endswith(endings):
            raise ValueError(f"it must end in {' or '.join(endings)}.")
        return value

    return Value(parse)


def _text(value):
    if not value.strip():
        raise ValueError("it is empty. Give a value, or leave it out.")
    return value


def _folder(value):
    value = PATH.parse(value)
    return value if "://" in value else os.path.abspath(value)


TEXT = Value(_text)
# `~` is the home folder, which not every shell puts in.
PATH = Value(lambda value: os.path.expanduser(_text(value)))
# Made absolute, unless it is a URI such as `gs://`.
FOLDER = Value(_folder)


class Arguments(flags.ArgumentParser):
    """Parses `name=value,name=value,...` to a dict; values may be lists.

    The class whose arguments they are checks the names and the values.

    Args:
        *lists: names of arguments that are lists also of one value.
    """

    def __init__(self, *lists):
        self.lists = lists

    def parse(self, argument):
        if isinstance(argument, dict):
            return argument
        arguments = {}
        for name, words in words_of(argument).items():
            values = list(map(_value, words))
            is_list = len(values) > 1 or name in self.lists
            arguments[name] = values if is_list else values[0]
        return arguments


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
    words = {}
    for word in text.split(","):
        name, equals, value = word.partition("=")
        if equals:
            words[name.strip()] = values = []
        elif not words:
            raise ValueError(
                f"it must be name=value,name=value; {word!r:.40} has no name."
            )
        values.append((value if equals else word).strip())
    return words


def _value(word):
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(word.lower(), word)


def _entries(text):
    """Texts by name, of lines such as `name: text`."""
    pairs = re.findall(r"^(\w+): (.*(?:\n .*)*)", textwrap.dedent(text), re.M)
    return {name: " ".join(text.split()) for name, text in pairs}


# === Flags ===


class ArgumentsFlag(flags.Flag):
    """A flag that adds to what it was given before."""

    def parse(self, argument):
        before = self.value if self.present else {}
        self.value = {**before, **self._parse(argument)}
        self.present += 1


def define(sections, flag_values):
    """Defines the flags of a command's sections."""
    for title, section in sections.items():
        for name, default, parser, text in section:
            where = {"flag_values": flag_values, "module_name": title}
            if isinstance(parser, flags.BooleanParser):
                flags.DEFINE_bool(name, default, text, **where)
            elif isinstance(parser, Arguments):
                flag = ArgumentsFlag(parser, None, name, default, text)
                flags.DEFINE_flag(flag, **where)
            else:
                flags.DEFINE(parser, name, default, text, **where)


def values(sections, flag_values):
    """The values of the flags of a command, and of no other, as a namespace."""
    names = (flag.name for flag in sum(sections.values(), []))
    return types.SimpleNamespace(**{n: flag_values[n].value for n in names})


def help_text(command, flag_values):
    """Text of a `Command` and its flags."""
    sections = map(flag_values.module_help, command.sections)
    return "\n".join([command.description.strip(), *sections])
