"""Pictures of images, atoms, codes and features."""

from keras_csc.visualization.atoms import ATOM
from keras_csc.visualization.atoms import BESIDE
from keras_csc.visualization.atoms import atom_grid
from keras_csc.visualization.atoms import atom_images
from keras_csc.visualization.atoms import atom_tiles
from keras_csc.visualization.atoms import code_shades
from keras_csc.visualization.atoms import draw_atoms
from keras_csc.visualization.atoms import drawn_rows
from keras_csc.visualization.atoms import encoder_atoms
from keras_csc.visualization.atoms import found_and_drawn
from keras_csc.visualization.atoms import growing
from keras_csc.visualization.atoms import growing_picture
from keras_csc.visualization.atoms import pixel_atoms
from keras_csc.visualization.atoms import strongest_atoms
from keras_csc.visualization.figures import class_similarity
from keras_csc.visualization.figures import similarity_figure
from keras_csc.visualization.figures import within_and_between
from keras_csc.visualization.grids import arrange
from keras_csc.visualization.grids import comparison_grid
from keras_csc.visualization.grids import fitted
from keras_csc.visualization.grids import image_grid
from keras_csc.visualization.grids import image_tiles
from keras_csc.visualization.grids import save_figure
from keras_csc.visualization.grids import save_png

__all__ = [
    "atom_grid",
    "class_similarity",
    "comparison_grid",
    "found_and_drawn",
    "growing_picture",
    "image_grid",
    "pixel_atoms",
    "save_figure",
    "save_png",
    "similarity_figure",
    "strongest_atoms",
]
