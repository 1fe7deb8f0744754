"""Named layers, source lists and boxes that are published together."""
