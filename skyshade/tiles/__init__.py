"""Tiles: layer to aggregate to picture to bytes, and the documents that describe them."""
