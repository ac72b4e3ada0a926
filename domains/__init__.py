"""Custom domains of customers: a name at Microsoft, its proof in the DNS, and the activation user (TEN-14, 15)."""
