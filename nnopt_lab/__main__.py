"""`python3 -m nnopt_lab …` on a machine with only Python: check the version, set up the environment, run the command.

This file, and what is imported before the check, must compile on old Pythons: they would end with a SyntaxError.
"""

import sys

OLDEST = (3, 11)


def main():
    """Run a command of the course, in an environment that is created first if it is missing."""
    if sys.version_info < OLDEST:
        needed, here = ".".join(str(number) for number in OLDEST), sys.version.split()[0]
        sys.stderr.write("The course needs Python " + needed + " or newer; this is " + here + ".\n")
        sys.exit(1)
    from nnopt_lab import environment

    environment.ensure()
    from nnopt_lab.cli import main as command

    command()


if __name__ == "__main__":
    main()
