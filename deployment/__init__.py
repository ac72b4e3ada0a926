"""Deploy and Undo Deploy: a customer's sites on their SBCs, and its voice routing in Microsoft Teams."""
