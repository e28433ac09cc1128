"""Arguments of classes, as flags that name them take them.

They are read off the source, which takes no time: importing the classes would
import TensorFlow.
"""

import ast
import difflib
import functools
import importlib.util
import inspect
import math
import pathlib
import re

from absl import flags

ROOT = pathlib.Path(importlib.util.find_spec("keras_csc").origin).parent


@functools.cache
def of_class(module, name, without=()):
    """The arguments of a class's constructor.

    Args:
        module: path of its module, relative to `keras_csc/`.
        name: of the class.
        without: names of arguments to leave out.

    Returns:
        Dict from names to `(default, text)`, the text of the docstring.
    """
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    found = next(
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    make = next(
        node
        for node in found.body
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    texts = _texts(ast.get_docstring(found))
    defaults = make.args.defaults
    names = [each.arg for each in make.args.args][-len(defaults) :]
    return {
        each: (ast.literal_eval(default), texts[each])
        for each, default in zip(names, defaults)
        if each not in without
    }


def _texts(docstring):
    """What a docstring says of each argument, in one line."""
    section = re.search(r"^Args:\n(.*?)(?:\n\n|\Z)", docstring, re.S | re.M)
    entries = inspect.cleandoc(section[1])
    found = re.findall(r"^(\w+): (.*(?:\n .*)*)", entries, re.M)
    return {name: " ".join(text.split()) for name, text in found}


class Arguments(flags.ArgumentParser):
    """Parses `name=value,name=value,...`, whose values may be lists.

    Args:
        known: dict of `of_class`.
    """

    syntactic_help = "arguments as name=value,name=value"

    def __init__(self, known):
        self.known = known

    def parse(self, argument):
        if isinstance(argument, str):
            words = words_of(argument).items()
            return {name: self._checked(name, each) for name, each in words}
        return argument

    def _checked(self, name, value):
        if name not in self.known:
            close = difflib.get_close_matches(name, self.known, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise ValueError(
                f"there is no {name!r:.40}; it has {', '.join(self.known)}."
                f"{hint}"
            )
        default, _ = self.known[name]
        try:
            return _value(value, default)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None

    def flag_type(self):
        return "arguments"


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


def _value(words, default):
    """A value of the type of a default, of words.

    Where the default is one number, there may be several.
    """
    if isinstance(default, (list, tuple)):
        return [_one(word, default[0]) for word in words]
    found = [_one(word, default) for word in words]
    if len(found) == 1:
        return found[0]
    if isinstance(default, float):
        return found
    raise ValueError(f"must be one value; received {','.join(words)}")


def _one(word, default):
    if isinstance(default, bool):
        if word.lower() not in ("true", "false"):
            raise ValueError(f"must be true or false; received {word!r:.40}")
        return word.lower() == "true"
    if isinstance(default, str):
        if not word:
            raise ValueError(f"must be a text; received {word!r:.40}")
        return word
    kind = float if isinstance(default, float) else int
    try:
        number = kind(word)
    except (OverflowError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        title = "a finite number" if kind is float else "a whole number"
        raise ValueError(f"must be {title}; received {word!r:.40}")
    return number


class ArgumentsFlag(flags.Flag):
    """A flag that adds to what it was given before."""

    def parse(self, argument):
        before = self.value if self.present else {}
        self.value = {**before, **self._parse(argument)}
        self.present += 1


class Serializer(flags.ArgumentSerializer):
    """Writes a dict as `Arguments` parses it."""

    def serialize(self, value):
        return text_of(value)


def text_of(values):
    """A dict as `name=value,name=value`, whose values may be lists."""
    return ",".join(
        f"{name}={','.join(map(str, each))}"
        if isinstance(each, list)
        else f"{name}={each}"
        for name, each in values.items()
    )
