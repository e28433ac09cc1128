"""The studies behind the method's claims; `benchmarks/claims.py` runs them.

contenders.py   what is compared, as flags of `training/train.py`
data.py         the data sets, and their images as arrays
pieces.py       a piece of a study as data, and the rows that are its results
plan.py         what the studies need first: tuned settings, measured rates
definitions.py  the studies: lists of pieces
measures.py     what is measured of a trained model; noise.py, drawing.py
verdicts.py     the claims, and the rules of their verdicts
page.py         docs/results/README.md from the rows
"""
