"""What run directories have to tell. Reads files only and never imports TensorFlow."""
