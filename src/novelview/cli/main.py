"""Entry point of ``novelview``: picks the verb, parses its options in any order, prints errors people can act on."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from novelview.allocator import tune_allocator
from novelview.errors import NovelviewError

VERBS = {
    "demo": "See new views of a scene now: train on an embedded scene, render a video, write a report.",
    "data": "Look at a capture (info), write a procedural one, unpack RealEstate10K's files.",
    "train": "Train a method on a capture: novelview train grid --data DIR.",
    "convert": "Make a run of a checkpoint of a method's authors.",
    "generate": "Make views, a video and a mesh of what words or a picture describe.",
    "render": "Render a video, frames or one picture from a run.",
    "export": "Export what a run makes of a scene as files that need no method any more.",
    "eval": "Score a run on its held-out views, against classical baselines; or a mesh against a true one.",
    "methods": "List the methods, what they need and their presets.",
    "doctor": "Print versions and device, and say what is missing for which feature.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 2 the user's to mend, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0 if words else 2
    if words[0] == "--version":
        from novelview import __version__

        print(__version__)
        return 0
    tune_allocator()  # Before any verb imports torch.
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    if words[0] not in VERBS:
        errors.print(Text(_unknown(words[0])))
        return 2
    try:
        return int(importlib.import_module(f"novelview.cli.{words[0]}").run(words[1:]) or 0)
    except NovelviewError as error:
        errors.print(Text("error: ", style="bold red") + Text(str(error), style="default"))
        return 2
    except KeyboardInterrupt:
        errors.print("interrupted")
        return 130
    except BrokenPipeError:
        # The reader of a pipe (head, less) went away: not an error, but python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _overview() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {summary}" for verb, summary in VERBS.items())
    return (
        "usage: novelview VERB [options in any order]\n\n"
        "Give it photographs, see the scene from where no camera stood.\n\n"
        f"{verbs}\n\n"
        "novelview VERB --help shows a verb's options, their defaults and units."
    )


def _unknown(word: str) -> str:
    near = difflib.get_close_matches(word, VERBS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "the verb comes first: " + ", ".join(VERBS)
    return f"error: novelview has no verb {word!r}\n  cure: {hint}"


if __name__ == "__main__":
    sys.exit(main())
