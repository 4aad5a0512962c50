"""All claims from `fixtures/claims/*.toml`, one file per source, read and checked as a whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.files import BadFile, read_toml
from bench.core.paths import FIXTURES
from bench.judge.claims.adapter_calculations import NAME, model_of
from bench.judge.claims.claim import Claim, check_name, parse_claim, parse_protocol, refuse
from bench.judge.claims.verdicts import KINDS

FOLDER = FIXTURES / "claims"
HEADER = ("source", "title", "protocols", "models")


def read_claims(folder: Path = FOLDER) -> dict[str, Claim]:
    """Every claim by its id. Raises BadFile naming file, id and key of the first mistake."""
    claims: dict[str, Claim] = {}
    for path in sorted(folder.glob("*.toml")):
        for claim in read_file(path):
            if claim.id in claims:
                raise BadFile(f"{claim.file} [{claim.id}]: this id stands in {claims[claim.id].file} too")
            claims[claim.id] = claim
    for claim in claims.values():
        KINDS[claim.kind].check(claim, claims)
    return claims


def read_file(path: Path) -> list[Claim]:
    """The claims of one source; their `by` is not checked."""
    tables = read_toml(path)
    file = path.name
    header = read_header(tables, file)
    claims = [
        parse_claim(name, with_config(table, header["models"], f"{file} [{name}]"), header, file)
        for name, table in tables.items()
        if name not in HEADER
    ]
    for claim in claims:
        if claim.kind not in KINDS:
            raise refuse(f"{file} [{claim.id}]", "kind", f"{claim.kind!r} must be one of {', '.join(KINDS)}")
    return claims


def read_header(tables: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The file's source, title and protocols by name, each checked."""
    for key in ("source", "title"):
        if not isinstance(tables.get(key), str) or not tables[key]:
            raise BadFile(f"{file}: {key} must be text, at the top of the file")
    protocols = tables.get("protocols", {})
    if not isinstance(protocols, dict):
        raise BadFile(f"{file}: protocols must be tables, as [protocols.NAME]")
    for name, table in protocols.items():
        parse_protocol(table, f"{file} [protocols.{name}]")
    models = tables.get("models", {})
    if not isinstance(models, dict) or not all(isinstance(config, dict) for config in models.values()):
        raise BadFile(f"{file}: models must be tables of a config.json's numbers, as [models.NAME]")
    named = {name: {**config, NAME: name} for name, config in models.items()}
    for name, config in named.items():
        try:
            model_of(config)
        except (BadFile, KeyError) as error:
            raise BadFile(f"{file} [models.{name}]: {error}") from None
    return {"source": tables["source"], "title": tables["title"], "protocols": protocols, "models": named}


def with_config(table: Any, models: Mapping[str, Any], where: str) -> Any:
    """The claim's table; if `by` names one of the file's models as its config, the name is replaced by its numbers."""
    by = table.get("by") if isinstance(table, dict) else None
    if not isinstance(by, dict) or "config" not in by:
        return table
    return {**table, "by": {**by, "config": models[check_name(where, "by.config", by["config"], models)]}}
