"""The line to name servers: names, TXT records and who serves a zone. Knows no Django, and no customer."""
