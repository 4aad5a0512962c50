"""The card in a prediction: the caching allocator's rules, what fits, and the largest size that fits."""
