"""One page of what a model is and does: a file to send, or to print."""

from keras_csc.report.looking import AtomUse
from keras_csc.report.looking import Look
from keras_csc.report.looking import look
from keras_csc.report.looking import patches
from keras_csc.report.page import is_report
from keras_csc.report.page import write_report

__all__ = [
    "AtomUse",
    "Look",
    "is_report",
    "look",
    "patches",
    "write_report",
]
