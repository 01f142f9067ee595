"""The change requests are fulfilled by real patches, in both forms, and nothing else changes."""

import csv
import io
import json

import pytest
from hypothesis import given
from job_lines import failures, job_lines, line, run

from toolkit import exhibits
from toolkit.exhibits import changes, direct, forms

LARGE = {"kind": "transcode", "size_mb": 1_800}  # 4,905 cents
PAIRS = [(request, form) for request in changes.REQUESTS for form in forms.FORMS]


@pytest.fixture(scope="module", params=forms.FORMS)
def form(request):
    return request.param


@pytest.fixture(scope="module")
def changed(form):
    """Return a function that loads a form with a request fulfilled."""

    def load(request):
        return forms.loaded(form, changes.patched(request, form))

    return load


def options(module, form, **settings):
    """Return the settings as the form wants them: arguments, or a configuration."""
    if form == "direct":
        return settings
    names = {"style": "writer", "file": "store_file"}
    config = {names[name]: value for name, value in settings.items()}
    return {
        "config": module.PipelineConfig(
            **config, **({"store": "sqlite"} if "file" in settings else {})
        )
    }


def printed(module, lines, failures=(), **more):
    """Return what was written, as it is, and the summary."""
    out, failing = io.StringIO(), list(failures)

    def charge(customer, cents):
        if failing and failing.pop(0):
            raise ConnectionError(customer, cents)

    return module.process(lines, charge, lambda _: None, out, **more), out.getvalue()


# --- customer ---


def test_zenith_pays_half_of_every_price_rounded_down(changed):
    lines = [
        line(job="a", customer="zenith", kind="thumbnail", size_mb=100),  # 94 for others
        line(job="b", customer="zenith", kind="thumbnail", size_mb=2),  # 7 for others
        line(job="c", kind="thumbnail", size_mb=2),
    ]
    with changed("customer") as module:
        seen = run(module.process, lines)

    assert seen.charges == [("zenith", 47), ("zenith", 3), ("acme", 7)]


def test_zenith_may_spend_20000_cents(changed):
    """Eight jobs of 2,452 cents are 19,616; the report of 20 is charged half."""
    lines = [line(job=str(n), customer="zenith", **LARGE) for n in range(9)]
    lines += [line(job=str(9 + n), customer=name) for n, name in enumerate(["zenith", "acme"])]
    lines += [line(job="x", **LARGE), line(job="y", **LARGE)]
    with changed("customer") as module:
        seen = run(module.process, lines)

    assert seen.outcomes == ["done"] * 8 + ["over_limit"] + ["done"] * 3 + ["over_limit"]
    assert seen.summary["cents"] == {"acme": 4_925, "zenith": 19_626}


# --- retry ---


def test_a_report_is_charged_twice_at_most_with_two_seconds_between(changed):
    with changed("retry") as module:
        given_up = run(module.process, [line(kind="report")], [True] * 9)
        done = run(module.process, [line(kind="report")], [True])

    assert given_up.outcomes == ["failed"]
    assert given_up.results[0]["tries"] == 2
    assert given_up.pauses_s == done.pauses_s == [2.0]
    assert done.results[0]["tries"] == 2


def test_other_jobs_are_tried_as_before(changed):
    with changed("retry") as module:
        seen = run(module.process, [line(kind="transcode"), line(job="b")], [True] * 9)

    assert seen.pauses_s == [0.5, 1.0, 2.0]
    assert [result["tries"] for result in seen.results] == [3, 2]


# --- format ---


def test_results_come_as_csv_with_a_header_for_whoever_asks(changed, form):
    lines = [line(job='say "a, b"'), "{", line(job="c", **LARGE), line(job="d", **LARGE)]
    with changed("format") as module:
        _, text = printed(module, lines, **options(module, form, style="csv"))
        _, nothing = printed(module, [], **options(module, form, style="csv"))

    assert nothing == "line,outcome,reason,job,customer,cents,tries\n"
    assert list(csv.reader(io.StringIO(text)))[1:] == [
        ["1", "done", "", 'say "a, b"', "acme", "20", "1"],
        ["2", "invalid", "line must be JSON", "", "", "", ""],
        ["3", "done", "", "c", "acme", "4905", "1"],
        ["4", "over_limit", "", "d", "acme", "4905", ""],
    ]


def test_an_unknown_format_is_refused_with_those_there_are(changed, form):
    with (
        changed("format") as module,
        pytest.raises(ValueError, match="must be one of csv, json-lines, got 'ink'"),
    ):
        printed(module, [line()], **options(module, form, style="ink"))


# --- store ---


def test_what_was_done_and_spent_outlives_the_process(changed, form, tmp_path):
    """Loaded twice, so that nothing but the file can remember."""
    file = str(tmp_path / "books.sqlite")
    runs = []
    for lines in ([line(job="a", **LARGE)], [line(job="a"), line(job="b", **LARGE), line(job="c")]):
        with changed("store") as module:
            runs.append(run(module.process, lines, **options(module, form, file=file)))
    first, second = runs

    assert first.summary["cents"] == {"acme": 4_905}
    assert second.outcomes == ["duplicate", "over_limit", "done"]
    assert second.summary["cents"] == {"acme": 4_925}


def test_each_job_is_in_the_file_as_soon_as_it_is_done(changed, form, tmp_path):
    """A run that dies in the middle has lost nothing that was charged."""
    file = str(tmp_path / "books.sqlite")

    def dies(customer, cents):
        raise RuntimeError(customer, cents)

    with changed("store") as module:
        more = options(module, form, file=file)
        run(module.process, [line(job="a")], **more)
        with pytest.raises(RuntimeError):
            module.process([line(job="a"), line(job="b")], dies, None, io.StringIO(), **more)
        seen = run(module.process, [line(job="a"), line(job="b")], **more)

    assert seen.outcomes == ["duplicate", "done"]


# --- steps ---


def test_the_summary_says_how_many_jobs_came_to_each_step(changed):
    lines = [
        "{",
        line(kind="dance"),
        "",
        line(),
        line(),
        line(job="x", **LARGE),
        line(job="y", **LARGE),
    ]
    with changed("steps") as module:
        seen = run(module.process, lines, [True] * 3)

    assert seen.outcomes == ["invalid", "invalid", "failed", "done", "done", "over_limit"]
    assert seen.summary["steps"] == {
        "parse": 6, "validate": 5, "deduplicate": 4, "price": 4, "limit": 4, "charge": 3, "record": 2
    }  # fmt: skip


# --- all of them ---


@pytest.mark.parametrize("request_", changes.REQUESTS)
def test_what_was_not_asked_for_stays_as_it_was(changed, request_):
    """The results of the unchanged form, to the letter, for all jobs that the request is not about."""
    with changed(request_) as module:

        @given(lines=job_lines, failures=failures)
        def same(lines, failures):
            lines = [text for text in lines if "zenith" not in text and "report" not in text]
            summary, written = printed(module, lines, failures)
            summary.pop("steps", None)

            assert (summary, written) == printed(direct, lines, failures)

        same()


@pytest.mark.parametrize("request_", changes.REQUESTS)
@given(lines=job_lines, failures=failures)
def test_a_request_means_the_same_in_both_forms(request_, lines, failures):
    seen = []
    for form in forms.FORMS:
        with forms.loaded(form, changes.patched(request_, form)) as module:
            seen.append(printed(module, lines, failures))

    assert json.dumps(seen[0]) == json.dumps(seen[1])


def test_a_loaded_form_is_gone_afterwards():
    before = direct.process
    with forms.loaded("direct", changes.patched("retry", "direct")) as module:
        assert exhibits.direct is module

    assert exhibits.direct is direct
    assert exhibits.direct.process is before
    assert not hasattr(direct, "REPORT_PAUSES_S")


# --- patches ---


@pytest.mark.parametrize(("request_", "form"), PAIRS)
def test_a_patch_is_what_lies_between_before_and_after(request_, form):
    """Written again from its own result, it is the same: nothing is in it that changes nothing."""
    before, after = forms.texts(form), changes.patched(request_, form)

    assert changes.written(before, after) == changes.patch_text(request_, form)


def test_a_patch_that_no_longer_fits_is_refused():
    patch = changes.patch_text("retry", "direct")
    files = {"direct.py": forms.texts("direct")["direct.py"].replace("0.5, 1.0", "0.5, 1.5")}

    with pytest.raises(ValueError, match=r"patch must fit the code: direct\.py, line"):
        changes.applied(files, patch)
    with pytest.raises(ValueError, match=r"direct\.py is not there"):
        changes.applied({}, patch)
    again = {**forms.texts("layered"), "layered/sqlite.py": ""}
    with pytest.raises(ValueError, match=r"sqlite\.py is already there"):
        changes.applied(again, changes.patch_text("store", "layered"))


def test_lines_files_and_places_are_counted():
    """By hand: two stretches in one file, a file that is new."""
    before = {"a.py": "one\ntwo\nthree\nfour\n"}
    after = {"a.py": "ONE\ntwo\nthree\nfour\nfive\nsix\n", "b.py": "new\n"}
    patch = changes.written(before, after)
    a, b = changes.parsed(patch)

    assert changes.applied(before, patch) == after
    assert (a.file, a.is_new, a.places()) == ("a.py", False, 2)
    assert (a.lines("+"), a.lines("-")) == (["ONE", "five", "six"], ["one"])
    assert (b.file, b.is_new, b.lines("+")) == ("b.py", True, ["new"])
