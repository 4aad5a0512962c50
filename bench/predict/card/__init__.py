"""A card under a prediction: the caching allocator's rules, what fits, and the largest that fits."""
