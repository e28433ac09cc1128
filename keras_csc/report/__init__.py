"""One page of what a model is and does: a file to send, or to print."""

from keras_csc.report.page import is_report
from keras_csc.report.page import write_report

__all__ = ["is_report", "write_report"]
