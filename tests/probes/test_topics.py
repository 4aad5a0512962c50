"""A statement about a question's topic answers it if it contains a word of the kind, or says what was asked for."""

from dataclasses import replace

import pytest

from bench.probes import EVASIVE, WRONG, facts, topics

ITEMS = {item.id: item for item in facts.bank()}
ANSWERS_WRONGLY = [
    ("en-month-after-march", "March comes after March."),
    ("en-capital-france", "The capital of France is beautiful"),
    ("en-capital-france", "The capital of France is New York City"),
    ("en-capital-france", "The capital of France is New York City."),
    ("en-capital-uk", "The capital of the United Kingdom is a city named Cardiff"),
    ("en-capital-uk", "The capital of the UK is a city called cardiff"),
    ("en-count-spider", "A spider has a hundred and twenty legs"),
    ("en-count-sum", "Two plus two equals twenty two"),
    ("en-count-sum", "Two plus two equals two"),
    ("es-colour-snow", "The nieve is a deep blue color, a beautiful one"),
    ("es-colour-snow", "La nieve es de un color azul muy intenso"),
    ("fr-colour-sky", "Le ciel est d'un très joli gris clair"),
    ("de-colour-grass", "Gras ist meistens ziemlich gelb"),
    ("en-animal-honey", "Honey is made by wasps and hornets"),
    ("en-animal-milk", "Most of the milk that people drink comes from goats and sheep"),
    ("en-opposite-hot", "The opposite of hot is a cool and chilly thing"),
    ("en-opposite-open", "The door is most likely slightly ajar"),
    ("en-world-ice", "Ice turns into a big puddle of goo when it melts"),
    ("en-world-star", "The Earth travels around Proxima Centauri"),
    ("en-world-sunrise", "The sun rises in the far west"),
    ("en-world-language", "Most people in Brazil speak Dutch and Guarani"),
    ("en-day-after-monday", "The day after Monday is a nice long Saturday"),
    ("en-month-first", "The first month of the year is a cold February"),
    ("de-capital-deutschland", "Die Hauptstadt von Deutschland ist Frankfurt am Main"),
    ("de-count-week", "Eine Woche hat zweiundzwanzig lange Tage"),
    ("de-count-week", "Eine Woche hat 24 Stunden am Tag"),
    ("id-capital-prancis", "Ibu kota Prancis adalah New York City"),
    ("id-count-week", "Satu minggu ada tiga belas hari"),
    ("fr-capital-france", "La capitale de la France est une ville appelée Nice"),
    ("fr-count-week", "Une semaine a vingt jours de travail"),
    ("es-count-year", "Un año tiene ciento veinte meses largos"),
    ("es-animal-bark", "El animal doméstico que ladra es el loro"),
    ("en-animal-young-dog", "A young dog is called a whelp or a youngling"),
    ("en-season-cold", "In Norway the coldest season of the year is the long month of January"),
    ("en-capital-spain", "Spain has its capital at Valencia"),
    ("en-capital-japan", "Japan's capital is a large city, Nagoya"),
    ("id-colour-leaf", "Daun yang masih segar berwarna kuning tua"),
    ("fr-animal-meow", "L'animal de compagnie qui miaule est le perroquet"),
    ("en-capital-china", "China is governed from Nanjing"),
]
SPEAKS_AROUND = [
    ("en-capital-france", "France is known for its food and wine."),
    ("en-capital-france", "The capital of France is a city on the Seine"),
    ("en-capital-spain", "Spain is a European country with many beaches."),
    ("en-count-spider", "A spider has many legs and eyes"),
    ("en-colour-snow", "Snow is a form of frozen water"),
    ("en-colour-grass", "Grass is eaten by many farm creatures"),
    ("en-animal-bark", "Pets are animals that live with people"),
    ("en-world-star", "The Earth travels around a large star in space."),
    ("en-day-after-monday", "Monday is a day of the week"),
    ("en-month-first", "The year is divided into many months"),
    ("de-colour-grass", "Gras ist eine Pflanze, die schnell wächst"),
    ("fr-count-week", "Une semaine est une période de temps"),
    ("es-colour-snow", "La nieve es un tipo de agua helada"),
    ("en-world-language", "Brazil is a country in South America"),
    ("en-count-week", "A week is one of the units of time"),
    ("en-capital-egypt", "Egypt is a country in North Africa"),
    ("de-capital-deutschland", "Die Hauptstadt von Deutschland ist eine große Stadt an der Spree"),
    ("en-opposite-hot", "Hot is a word for a high temperature"),
    ("en-capital-france", "France is a country"),
    ("en-animal-young-dog", "A young dog is a young dog."),
]


@pytest.mark.parametrize(("item", "answer"), ANSWERS_WRONGLY)
def test_statement_that_names_something_else_is_wrong(item, answer):
    assert facts.parse(answer, ITEMS[item]) == WRONG


@pytest.mark.parametrize(("item", "answer"), SPEAKS_AROUND)
def test_statement_that_names_nothing_is_evasive(item, answer):
    assert facts.parse(answer, ITEMS[item]) == EVASIVE


def test_subject_is_what_the_question_is_about():
    assert topics.subject_asked(ITEMS["en-opposite-hot"]) == {"opposite", "hot"}


def test_a_definite_copula_answers_about_what_was_asked_alone():
    spain = ITEMS["en-capital-spain"]
    assert not topics.speaks_around("The capital of Spain is the old royal residence", spain)
    assert topics.speaks_around("Spain is warm and sunny all year", spain)
    assert topics.speaks_around("Spain is warm and sunny all year", replace(spain, group="colour"))
