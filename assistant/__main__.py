"""`python -m assistant`."""

from index import cli

if __name__ == "__main__":
    cli.process("assistant.commands")
