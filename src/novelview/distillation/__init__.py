"""Views that a trained method makes up, for another to learn from."""
