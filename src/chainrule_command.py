"""The command ``chainrule``, which Ctrl-C ends quietly while it is still imported.

It stands beside the package, because importing a module of it imports the package.
"""

import signal


def main() -> None:
    """Run the command line; until that can say that it was interrupted, just end."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from chainrule.cli import main as run

    run()
