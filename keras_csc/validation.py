"""Checks of constructor arguments."""


def check_at_least(minimum, **arguments):
    """Raises `ValueError` for the first argument below `minimum`."""
    for name, value in arguments.items():
        if value < minimum:
            raise ValueError(
                f"`{name}` must be at least {minimum}. Received: {value}"
            )


def check_choice(choices, **arguments):
    """Raises `ValueError` for the first argument not among `choices`."""
    for name, value in arguments.items():
        if value not in choices:
            expected = ", ".join(repr(choice) for choice in choices)
            raise ValueError(
                f"`{name}` must be one of {expected}. Received: {value!r}"
            )
