"""Entra ID's sign-in hosts: metadata, the token endpoint, and the pages a person meets."""
