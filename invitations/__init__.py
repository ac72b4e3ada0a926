"""Invitations by mail, and the way of the customer's administrator from the link to a proven connection."""
