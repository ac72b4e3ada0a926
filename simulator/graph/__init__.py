"""Microsoft Graph v1.0: the routes the product uses, by Microsoft's own table of calls and permissions."""
