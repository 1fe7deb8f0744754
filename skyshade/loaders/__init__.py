"""Loaders: a URI or an object becomes images and tables; one file a format."""
