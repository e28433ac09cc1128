"""What the explorer's page asks of a model: functions of images and settings.

`page` and `tabs` build the page with Gradio, which only they need; the command
is `keras-csc explore`.
"""

from keras_csc.explorer.changing import Changed
from keras_csc.explorer.changing import Changes
from keras_csc.explorer.changing import Seen
from keras_csc.explorer.changing import change
from keras_csc.explorer.changing import look
from keras_csc.explorer.chosen import Example
from keras_csc.explorer.chosen import examples_of
from keras_csc.explorer.chosen import read_upload
from keras_csc.explorer.damage import Restored
from keras_csc.explorer.damage import restore_detail
from keras_csc.explorer.panels import warm_up
