"""TensorFlow's files, without TensorFlow."""
