"""File n of the fuzz is the same file every time, and is broken in one of many ways."""

import random

from benchmarks.fuzz_uploads import Corpus
from benchmarks.fuzzing import seeds


def test_file_n_is_always_the_same():
    one, other = Corpus(7), Corpus(7)

    assert [one.file(n) for n in range(60)] == [other.file(n) for n in range(60)]
    assert one.file(3) != Corpus(8).file(3)


def test_valid_files_are_there_in_every_format_and_way_of_writing():
    names = {name for name, _ in seeds.files(random.Random(7))}

    assert names == {f"{fmt}.{ending}" for fmt in seeds.FORMATS for ending in seeds.WRITERS}


def test_mutations_leave_few_files_as_they_were():
    corpus = Corpus(7)
    whole = set(corpus.contents)

    assert sum(corpus.file(n)[1] in whole for n in range(300)) < 30
