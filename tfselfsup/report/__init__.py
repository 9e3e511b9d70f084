"""Tables and figures from run directories. Reads files only and never imports TensorFlow."""
