"""Methods of attribution, a file each. Whoever needs them all walks the folder."""
