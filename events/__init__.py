"""What happened, for machines: an ordered list with a cursor."""
