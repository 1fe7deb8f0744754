"""Aggregate to picture: norms, colour maps, shaders."""
