"""An option of a program is no word to leave out."""

from __future__ import annotations

from datetime import date

import pytest

from kb.search.syntax import parse

TODAY = date(2026, 3, 10)


@pytest.mark.parametrize(
    "typed",
    [
        "what does tar -xzvf do",
        "was macht tar -xvf",
        "how to ls -la sorted",
        "git commit -am message",
        "find . -name '*.md'",
        "find . -iname x -maxdepth 2",
        "java -version",
        "java -jar app.jar",
        "curl -sSL install script",
        "ffmpeg -vcodec copy",
        "-Xmx2g heap size",
        "-XX:+UseG1GC",
        "mvn -DskipTests=true",
        "gcc -Wall -O2 -march=native",
        "-std=c++17 meaning",
        "docker run -it ubuntu",
        "netstat -tulpn",
        "rsync -avzP home",
        "du -sh",
        "openssl req -newkey rsa -nodes",
        "terraform apply -auto-approve",
        "what does -la mean",
        "what is the option -exec",
        "sudo tail -fn 100",
        "grep -rni todo",
        "is it -it or -all",
        "find files older than a day -mtime or by name",
        "wget -qO- into a pipe",
        "nmap -Pn",
        "what is -Wall",
        "what's -Werror for",
    ],
)
def test_options_of_programs_are_asked_about(typed: str) -> None:
    """They stay in the question and leave nothing out, and the answer can say which they were."""
    question = parse(typed, TODAY)

    assert question.without == ()
    assert question.text == " ".join(typed.split())
    assert question.as_words


@pytest.mark.parametrize(
    ("typed", "without"),
    [
        ("docker -windows", "windows"),
        ("docker -Windows install", "Windows"),
        ("python -snake", "snake"),
        ("jaguar -car", "car"),
        ("mercury -planet", "planet"),
        ("java -coffee", "coffee"),
        ("find recipes -meat", "meat"),
        ("find quick recipes -egg", "egg"),
        ("git is great -egg", "egg"),
        ("music -pop", "pop"),
        ("manuals -pdf", "pdf"),
        ("languages -C++", "C++"),
        ("phones -iPhone", "iPhone"),
        ("vim -emacs", "emacs"),
        ("what is new in linux -windows", "windows"),
        ("ssh keys -PuTTY", "PuTTY"),
        ("bank -river?", "river"),
        ('tar -"xzvf"', "xzvf"),
        ('backup -"external disk"', "external disk"),
    ],
)
def test_words_with_a_minus_are_left_out(typed: str, without: str) -> None:
    """Behind the name of a program too, where no program has such an option; in quotation marks always."""
    question = parse(typed, TODAY)

    assert (question.without, question.as_words) == ((without,), ())


def test_a_word_that_the_notes_have_as_an_option_is_one() -> None:
    """Whoever has an option in the notes asks about it."""
    assert parse("ninja -quick", TODAY).without == ("quick",)
    assert parse("ninja -quick", TODAY, written=lambda word: word == "quick").as_words == ("-quick",)


def test_what_only_looks_like_a_filter_is_told() -> None:
    """It names no type or day, so it is asked as it stands."""
    question = parse("snake type:pyhton since:then tag:zoo", TODAY)

    assert question.as_words == ("type:pyhton", "since:then")
    assert question.named == ("tag:zoo",)
