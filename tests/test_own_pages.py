"""The pages about a person's own data, model and method: their files and commands work as they stand there."""

import pytest
from own_folders import BERT, DISTILBERT, write_model
from page_listings import replay, text_of

MODELS = {"adding-a-model.md": {"my-bert": (BERT, False), "my-distilbert": (DISTILBERT, True)}}


@pytest.mark.parametrize("page", ["adding-a-task.md", "adding-a-method.md", "adding-a-model.md"])
def test_page_works_from_its_top_down(page, tmp_path):
    for name, (config, weights) in MODELS.get(page, {}).items():
        write_model(tmp_path / name, config, weights)
    assert len(replay(text_of(page), tmp_path)) >= 2
