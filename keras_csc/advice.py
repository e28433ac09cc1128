"""Errors with advice for Python, in whose place a command gives its own."""


class AdvisedError(ValueError):
    """A mistake that an argument would mend, which a command may not have.

    Args:
        reason: text, what is wrong, in whole sentences.
        argument: name of the argument that the advice is about.
        advice: text, what to do in Python, in whole sentences.
    """

    def __init__(self, reason, argument, advice):
        super().__init__(reason, argument, advice)
        self.reason = reason
        self.argument = argument
        self.advice = advice

    def __str__(self):
        return f"{self.reason} {self.advice}"
