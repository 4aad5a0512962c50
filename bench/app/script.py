"""What Streamlit runs for every page, again after each thing that a person does there."""

import streamlit as st

from bench.app.pages import PAGES, in_one_sentence

LESS_ROOM_ABOVE = "<style>.stMainBlockContainer { padding-top: 4rem; }</style>"

st.set_page_config(page_title="lorabench", layout="wide")
st.html(LESS_ROOM_ABOVE)
st.navigation(
    [st.Page(in_one_sentence(show), title=title, url_path=title.lower()) for title, show in PAGES.items()],
    position="top",
).run()
