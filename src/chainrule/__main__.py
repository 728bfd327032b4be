"""``python -m chainrule`` is the command line."""

from chainrule_command import main

if __name__ == "__main__":
    main()
