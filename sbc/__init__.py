"""SBC devices: which there are, how they fare, and what is on them."""
