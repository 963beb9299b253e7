"""Why a program could not be started, in a sentence that says what to do."""


class StartError(Exception):
    """Something prevents the start. The message is one sentence for the person at the terminal."""
