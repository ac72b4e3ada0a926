"""Taking on a customer, step by step: the wizard, what it waits for, and finding out who somebody's tenant is."""
