"""Pictures of analyses: a file for each. Whoever needs one walks the folder."""
