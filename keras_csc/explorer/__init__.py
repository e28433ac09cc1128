"""What the explorer's page asks of a model: functions of images and settings.

`page` and `tabs` build the page with Gradio, which only they need; the command
is `keras-csc explore`.
"""

from keras_csc.explorer.changing import Changed
from keras_csc.explorer.changing import Changes
from keras_csc.explorer.changing import Look
from keras_csc.explorer.changing import change
from keras_csc.explorer.changing import keep_largest
from keras_csc.explorer.changing import look
from keras_csc.explorer.damage import Restored
from keras_csc.explorer.damage import restore_detail
from keras_csc.explorer.examples import Example
from keras_csc.explorer.examples import examples_of
from keras_csc.explorer.panels import warm_up
from keras_csc.explorer.reading import read_upload
