"""The command line. `tradeserver --help` teaches; every verb imports what it needs when it is called.

Exit codes: 0 ok, 1 error, 2 usage, 3 not running, 4 not found, 70 our fault, 78 configuration (docs/exit-codes.md).
Standard output carries the answer, standard error the one sentence that says why there is none.
"""

from __future__ import annotations

import sys

import typer

from tradeserver.cli import operate, read

app = typer.Typer(
    name="tradeserver",
    help=__doc__.split("\n\n", maxsplit=1)[0]
    if False
    else "An arbitrage daemon for crypto exchanges.\n\n"
    "First steps: [bold]tradeserver demo[/bold] runs everything against a simulated market; "
    "[bold]tradeserver check FILE[/bold] explains a configuration; [bold]tradeserver run FILE[/bold] trades it, on "
    'paper unless the file says mode = "live" [bold]and[/bold] --live is given.\n\n'
    "Exit codes: 0 ok, 1 error, 2 usage, 3 not running, 4 not found, 70 our fault, 78 configuration.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables, secrets among them
    context_settings={"help_option_names": ["-h", "--help"]},
)
operate.register(app)
read.register(app)


def main() -> None:
    """The entry point: turns errors into exit codes."""
    from tradeserver.services.faults import Exit, OperatorError

    try:
        app()
    except OperatorError as error:
        sys.stderr.write(f"tradeserver: {error}\n")
        sys.exit(int(error.exit_code))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone (head, less): not worth a word
        sys.exit(int(Exit.ERROR))
    except Exception:
        import traceback

        traceback.print_exc()
        sys.stderr.write("tradeserver: this is a fault of tradeserver itself; please report it with the lines above\n")
        sys.exit(int(Exit.OURS))
