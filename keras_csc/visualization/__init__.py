"""Pictures of images, atoms, codes and features."""

from keras_csc.visualization.atoms import atom_grid
from keras_csc.visualization.atoms import growing_picture
from keras_csc.visualization.atoms import pixel_atoms
from keras_csc.visualization.atoms import strongest_atoms
from keras_csc.visualization.grids import comparison_grid
from keras_csc.visualization.grids import image_grid
from keras_csc.visualization.grids import save_png
