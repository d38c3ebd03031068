"""What the files of known formats show of themselves."""
