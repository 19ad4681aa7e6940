"""The border: where text leaves the program it is made printable, and where a file is written it is written whole."""
