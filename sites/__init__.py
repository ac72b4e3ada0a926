"""Where customers' calls leave: sites on SBCs, the scripts that make them, the prefixes that lead to them."""
