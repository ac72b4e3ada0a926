"""Measurements, each runnable alone; see README.md."""
