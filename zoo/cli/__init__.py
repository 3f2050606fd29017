"""The command line, above everything: a verb each, a few lines over the library."""
