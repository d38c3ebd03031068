"""How the server shares out its memory: numbers alone, for whoever says how much it is given."""

MIB = 1024 * 1024
PARSING, HOLDING = 0.5, 0.15
"""The shares of the free memory that the values of one JSON text, and all bodies that wait, may take."""
KEEPING = 0.1
"""The share that what is kept of all sequences may take."""
LEAST_BYTES = 16 * MIB
"""The free memory that each worker lives on at least, whatever the limit says."""
PARSED_BYTES = 128 * MIB
"""What the values of one JSON text may take for each processor, and in all: so much is parsed in a fifth of a second, in
which a thread holds the interpreter and nothing else is answered, however many processors there are.
"""
