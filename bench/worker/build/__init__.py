"""Building what is trained: the base model, its storage, and the adapter on it."""
