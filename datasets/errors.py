"""The one error that means: the input is wrong, and here is the remedy."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message says what was found, what was wanted and what to do. The command line prints it as one line and ends
    with exit code 2; everything else that is raised is a defect of ours or of a plugin and keeps its traceback.
    """
