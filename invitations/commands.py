"""What the worker does for invitations."""
