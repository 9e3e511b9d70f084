"""Speed: of the whole training loop and its stages, of the replay memory, and of a peer."""
