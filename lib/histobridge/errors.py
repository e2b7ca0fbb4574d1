"""The one exception a user may meet: a sentence that says what is wrong and what to do."""


class UserError(Exception):
    """A mistake the user can mend; the command line prints it without a traceback and exits with code 2.

    Modules raise it with one sentence (or two): what is wrong, naming the file or value, and what to do.
    """


def one_of(kind: str, name: str, valid) -> str:
    """Return `name` if it is among `valid`, else raise a `UserError` that lists the valid names.

    >>> one_of("profile", "cpu", ["smoke", "cpu"])
    'cpu'
    """
    names = sorted(valid)
    if name not in names:
        raise UserError(f"There is no {kind} '{name}'. Valid: {', '.join(names)}.")
    return name
