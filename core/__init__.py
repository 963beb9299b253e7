"""The rules of Tidings as pure functions and state machines.

Everything here takes values and returns values: no await, clock, chance, environment, file, driver or log
line. The shells (`actors`, `gateway`) call it, and run what it decides.
"""
