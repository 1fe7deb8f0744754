"""The index of catalogues: rows sorted by place and a pyramid of what tiles need."""
