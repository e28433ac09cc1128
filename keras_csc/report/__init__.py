"""One page of what a model is and does: a file to send, or to print."""

from keras_csc.report.survey import AtomUse
from keras_csc.report.survey import Survey
from keras_csc.report.survey import patches
from keras_csc.report.survey import survey
from keras_csc.report.writing import MARK
from keras_csc.report.writing import write_report
