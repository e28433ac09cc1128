"""Flags as absl's, whose values are checked where they are parsed.

Numbers are finite and within bounds, texts are not empty, and choices are
among those that there are.
"""

import math
import os

from keras_csc_cli.arguments import Arguments
from keras_csc_cli.arguments import ArgumentsFlag
from keras_csc_cli.arguments import Serializer

from absl import flags

LARGEST = {int: 2**31 - 1, float: 1e9}
WORDS = {int: "a whole number", float: "a number"}


class Number(flags.ArgumentParser):
    """Parses a finite number within bounds.

    Args:
        kind: `int` or `float`.
        least: the least number, or `None`.
        most: the largest number.
        above: a number that it must be above, or `None`.
        why: str, why there is an upper bound.
    """

    def __init__(self, kind, least, most, above=None, why=""):
        self.kind = kind
        self.least = least
        self.most = LARGEST[kind] if most is None else most
        self.above = above
        self.why = why

    def parse(self, argument):
        try:
            number = self.kind(argument)
        except (ValueError, OverflowError):
            number = None
        if number is None or isinstance(argument, bool):
            raise ValueError(f"it must be {self._expected()}.")
        if not self._holds(number):
            why = f": {self.why}" if self.why and number > self.most else ""
            raise ValueError(f"it must be {self._expected()}{why}.")
        return number

    def _holds(self, number):
        return (
            math.isfinite(number)
            and (self.least is None or number >= self.least)
            and number <= self.most
            and (self.above is None or number > self.above)
        )

    def _expected(self):
        bounds = []
        if self.above is not None:
            bounds.append(f"above {self.above:,.12g}")
        elif self.least is not None:
            bounds.append(f"at least {self.least:,.12g}")
        bounds.append(f"at most {self.most:,.12g}")
        return f"{WORDS[self.kind]} {' and '.join(bounds)}"

    def flag_type(self):
        return self.kind.__name__


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


class Optimizer(flags.ArgumentParser):
    """Parses a name, perhaps with Adam's betas: `adam`, or `adam:0,0.9`."""

    names = ("adam", "muon")

    def parse(self, argument):
        name, colon, betas = argument.partition(":")
        try:
            found = [float(beta) for beta in betas.split(",") if colon]
            good = len(found) in (0, 2) and all(0 <= x < 1 for x in found)
        except ValueError:
            good = False
        if name not in self.names or not good:
            raise ValueError(
                f"it must be {' or '.join(self.names)}, perhaps with two betas "
                "of at least 0 and below 1, as adam:0,0.9."
            )
        beta_1, beta_2 = found or (0.5, 0.999)
        return f"{name}:{beta_1:g},{beta_2:g}"

    def flag_type(self):
        return "optimizer"


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

    def integer(
        self, name, default, help, lower_bound=None, upper_bound=None, why=""
    ):
        """A flag of a whole number."""
        parser = Number(int, lower_bound, upper_bound, why=why)
        self._parsed(parser, name, default, help)

    def float(
        self,
        name,
        default,
        help,
        lower_bound=None,
        upper_bound=None,
        above=None,
        why="",
    ):
        """A flag of a finite number."""
        parser = Number(float, lower_bound, upper_bound, above, why)
        self._parsed(parser, name, default, help)

    def optimizer(self, name, default, help):
        """A flag of the name of an optimizer, with Adam's betas."""
        self._parsed(Optimizer(), name, default, help)

    def arguments(self, name, known, help):
        """A flag of arguments of a class, as `of_class`; it is a dict."""
        flag = ArgumentsFlag(Arguments(known), Serializer(), name, {}, help)
        flags.DEFINE_flag(flag, **self._to)

    def _parsed(self, parser, name, default, help, serializer=None):
        serializer = serializer or flags.ArgumentSerializer()
        flags.DEFINE(
            parser, name, default, help, serializer=serializer, **self._to
        )
