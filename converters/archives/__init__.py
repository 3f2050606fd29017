"""Archives: zips, tarballs, and the header of an array."""
