"""Resource accounts: what answers a customer's calls when no person does, described in a form and built in Teams."""
