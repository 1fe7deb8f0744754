"""numba loops; imported by `skyshade.kernels.dispatch` only.

A loop has the name and arguments of its twin.
"""
