"""Invitations, consent and onboarding journeys. The room is empty until its first capability is built."""
