"""How trained models leave the house: SavedModels that TensorFlow alone can load."""
