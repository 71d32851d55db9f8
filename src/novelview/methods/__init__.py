"""The view synthesis methods: one folder each, none imports another, all behind one contract (``method.py``)."""
