"""A pretend Microsoft 365: Entra ID and Microsoft Graph over real HTTP, for the demo, the tests and the benchmarks.

It imports nothing of the product and the product imports nothing of it: they meet on the wire only,
as the real thing would. `simulator.server.start()` runs it inside a process, `python -m simulator` alone.
"""
