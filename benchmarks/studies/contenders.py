"""The contenders, as what differs in the flags of `training/train.py`."""

import collections

Contender = collections.namedtuple("Contender", ["name", "kind", "flags"])

PUBLISHED = {
    "encoder_rate": 1.0,
    "decoder_rate": 1.0,
    "encoder_consistency": 0.0,
    "decoder_consistency": 0.0,
    "stages": 0.0,
    "cooperation": False,
    "shared_statistics": False,
}
MULTI_STAGE = {
    **PUBLISHED,
    "encoder_rate": 0.1,
    "decoder_consistency": 5.0,
    "stages": 300.0,
    "stage_decay": 0.25,
    "cooperation": True,
    "shared_statistics": True,
    "principal_images": 4096,
}
# The atoms of the first stage, principal components, are not trained. Those of
# a convolutional network are: kept, they would be a frame whose analysis
# preserves distances, and its part of the multi-stage term a pixel loss.
FROZEN = {"frozen_stages": 1}
CONVOLUTIONAL = {"network": "conv"}

CONTENDERS = {
    "ours": Contender(
        "CSC-CTRL, multi-stage loop (ours)",
        "closed_loop",
        {**MULTI_STAGE, **FROZEN},
    ),
    "game": Contender("CSC-CTRL, published game", "closed_loop", PUBLISHED),
    "conv": Contender(
        "CTRL, convolutional, multi-stage loop",
        "closed_loop",
        {**MULTI_STAGE, **CONVOLUTIONAL},
    ),
    "conv_game": Contender(
        "CTRL, convolutional, published game",
        "closed_loop",
        {**PUBLISHED, **CONVOLUTIONAL},
    ),
    "pixel": Contender(
        "CSC network, pixel loss (reference)",
        "pixel",
        {"principal_images": MULTI_STAGE["principal_images"], **FROZEN},
    ),
    "vae": Contender("Convolutional VAE", "vae", {}),
    "pca": Contender("PCA, as many numbers", "pca", {}),
}
CLOSED_LOOPS = ("ours", "conv", "game", "conv_game")
TRAINED = (*CLOSED_LOOPS, "pixel", "vae")

# What every trained run has in common.
COMMON = {
    "dtype_policy": "mixed_bfloat16",
    "schedule": "cosine",
    "batch_size": 64,
    "seed": 0,
}


def optimizer(name, rate):
    """Flags of an optimizer and its learning rate, for both players."""
    return {
        "optimizer": name,
        "encoder_learning_rate": rate,
        "decoder_learning_rate": rate,
    }


# Every trained contender is tuned over the same candidates.
CANDIDATES = (
    optimizer("muon", 0.03),
    optimizer("lamb", 0.03),
    optimizer("adam", 1e-3),
)
