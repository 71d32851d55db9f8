"""The command line: one file per verb; ``main.py`` finds the verb and prints errors."""
