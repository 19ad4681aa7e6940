"""The border: text that leaves the program is printable, files are written whole, a name is the same everywhere."""
