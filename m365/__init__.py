"""The line to Microsoft: sign-in, Graph, and the meaning of what they answer; no Django, no database."""
