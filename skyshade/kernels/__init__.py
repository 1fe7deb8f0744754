"""Every numba function of the project and its numpy twin."""
