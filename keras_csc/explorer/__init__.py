"""What the explorer's page asks of a model: functions of images and settings.

`page` builds the page with Gradio, which only it needs; the command is
`keras-csc explore`.
"""

from keras_csc.explorer.changing import Changed
from keras_csc.explorer.changing import Seen
from keras_csc.explorer.changing import change
from keras_csc.explorer.changing import look
from keras_csc.explorer.chosen import Example
from keras_csc.explorer.chosen import examples_of
from keras_csc.explorer.chosen import read_upload
