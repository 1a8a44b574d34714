"""`python -m index`."""

from index import cli

if __name__ == "__main__":
    cli.process("index.commands")
