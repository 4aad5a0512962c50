"""The closed form: memory added up term by term from the architecture's numbers, without torch."""
