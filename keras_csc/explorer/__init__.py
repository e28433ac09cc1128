"""What the explorer's page asks of a model: functions of images and settings.

`page` builds the page with Gradio, which only it needs; the command is
`keras-csc explore`.
"""

from keras_csc.explorer.looking import Changed
from keras_csc.explorer.looking import Example
from keras_csc.explorer.looking import Seen
from keras_csc.explorer.looking import change
from keras_csc.explorer.looking import examples_of
from keras_csc.explorer.looking import look
from keras_csc.explorer.looking import read_upload
