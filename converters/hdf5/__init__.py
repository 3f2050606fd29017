"""HDF5 files, read within bounds: by libhdf5 a damaged one may hang a program, or crash it."""
