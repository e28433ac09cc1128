"""Optimizers."""

from keras_csc.optimizers.dictionary_muon import DictionaryMuon

__all__ = ["DictionaryMuon"]
