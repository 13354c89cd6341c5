"""Versions of the libraries that a result depends on."""

from importlib import metadata

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "tokenizers")


def packages() -> dict[str, str]:
    """Version by name; a library that is not there is left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
