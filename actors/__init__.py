"""The processes that own state: each keeps its part of it in one place and runs the effects of `core`.

Plain asyncio classes, awaited directly in tests; `remote.py` alone makes them Ray actors.
"""
