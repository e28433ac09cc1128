"""Signals to stop, which are obeyed at once or at the next step.

A handler notes a signal and raises an `Interrupted`. Python or TensorFlow may
swallow it, in `__del__` or a callback from C++; `check` raises it again.
"""

import contextlib
import os
import signal
import sys

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GO_ON = "Run the same command again to go on."

# The numbers of the signals that have come, in order.
received = []
_state = {"starting": False, "held": False, "stderr": 2, "hook": None}


class Interrupted(KeyboardInterrupt):
    """The process was told to stop by a signal.

    Args:
        signal_number: int.
        state: str, what stands and is saved.
        advice: str, what to do next.
    """

    def __init__(self, signal_number, state="stopped", advice=GO_ON):
        super().__init__(f"{signal.Signals(signal_number).name}: {state}.")
        self.signal_number = signal_number
        self.line = f"{self} {advice}".rstrip()


def install(starting=False):
    """Begins to listen to SIGINT, SIGTERM and, unless ignored, SIGHUP.

    Args:
        starting: bool, whether the process has nothing yet to put away. A
            signal then ends it on the spot, until `install` is called again.
    """
    received.clear()
    _state.update(starting=starting, held=False)
    if starting:
        # A copy: the other is redirected while TensorFlow is imported.
        _state["stderr"] = os.dup(2)
    if sys.unraisablehook is not _unraisable:
        _state["hook"] = sys.unraisablehook
        sys.unraisablehook = _unraisable
    for number in NUMBERS:
        ignored = signal.getsignal(number) is signal.SIG_IGN
        if not (ignored and number == signal.SIGHUP):
            signal.signal(number, _handle)


def check():
    """Raises `Interrupted` if a signal has come and was swallowed."""
    if received and not _state["held"]:
        raise Interrupted(received[0])


@contextlib.contextmanager
def held():
    """Within the context, the first signal is told and noted in `received`.

    One signal causes no error: after an error it is forgotten. A second signal
    may cause one.
    """
    check()
    _state["held"] = True
    try:
        yield received
    except Exception:
        if len(received) == 1:
            received.clear()
        raise
    finally:
        _state["held"] = False


def end(interruption):
    """Ends the process on the spot with a line and the convention's code."""
    _write(f"{interruption.line}\n")
    os._exit(128 + interruption.signal_number)


def _handle(number, frame):
    received.append(number)
    interruption = Interrupted(number)
    if _state["starting"]:
        end(interruption)
    if _state["held"] and len(received) == 1:
        name = signal.Signals(number).name
        # On a terminal the cursor stands behind a line that is rewritten.
        start = "\n" * os.isatty(_state["stderr"])
        _write(f"{start}{name}: stopping after this step.\n")
        return
    raise interruption


def _write(text):
    with contextlib.suppress(OSError):
        os.write(_state["stderr"], text.encode())


def _unraisable(unraisable):
    if isinstance(unraisable.exc_value, Interrupted):
        end(unraisable.exc_value)
    _state["hook"](unraisable)
