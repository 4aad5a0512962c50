"""The pages about a person's own data, model and method: their files and commands work as they stand there."""

import pytest
from own_folders import BERT, DISTILBERT, write_model
from page_listings import assert_shows, listings_of, text_of, write_files

PAGES = ("adding-a-task.md", "adding-a-method.md", "adding-a-model.md")
LISTINGS = [(page, listing) for page in PAGES for listing in listings_of(text_of(page))]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder for each page, with its files and the models that it names."""
    found = {}
    for page in PAGES:
        found[page] = tmp_path_factory.mktemp(page.removesuffix(".md"))
        write_files(text_of(page), found[page])
    write_model(found["adding-a-model.md"] / "my-distilbert", DISTILBERT)
    write_model(found["adding-a-model.md"] / "my-bert", BERT, weights=False)
    return found


def test_each_page_has_files_and_listings(folders):
    for page in PAGES:
        assert any(folders[page].iterdir())
        assert [one for name, one in LISTINGS if name == page]


@pytest.mark.parametrize(("page", "listing"), LISTINGS, ids=[f"{page}:{one.command[:60]}" for page, one in LISTINGS])
def test_listing_is_what_its_command_prints(page, listing, folders):
    assert listing.output, f"{page} shows nothing below {listing.command}"
    assert_shows(folders[page], listing)
