"""Times are read as they were meant, or refused with what to set: a fold must not train on its own future."""

import pandas as pd
import pytest

from comp.errors import CompError
from comp.vision.data.times import read_times


def read(values, time_format=None):
    return read_times(pd.Series(values, dtype=object), time_format)


@pytest.mark.parametrize(
    ("values", "first_to_last"),
    [
        (["31/12/2020", "01/02/2021", "13/01/2021"], [0, 2, 1]),
        (["12/31/2020", "02/01/2021", "01/13/2021"], [0, 2, 1]),
        (["31.12.2020", "01.02.2021", "02.01.2021"], [0, 2, 1]),
        (["31/12/2020 09:30", "31/12/2020 10:00", "01/02/2021 08:00"], [0, 1, 2]),
        (["2020/12/31", "2021/2/1", "2021/01/13"], [0, 2, 1]),
        (["2020-12-31", "2021-02-01T10:00:00", "2021-01-13 10:00:00.25"], [0, 2, 1]),
        (["2021-01-01T00:30:00+02:00", "2020-12-31T23:00:00+00:00"], [0, 1]),
        (["31 Dec 2020", "1 Feb 2021", "13 Jan 2021"], [0, 2, 1]),
        (["12/31/2020 11:00 AM", "12/31/2020 01:00 PM"], [0, 1]),
        (["10", "9", "8.5"], [2, 1, 0]),
        (["20201231", "20210113", "20210201"], [0, 1, 2]),
    ],
)
def test_times_are_read_in_their_order(values, first_to_last):
    when, _ = read([f" {value} " for value in values])
    numbers = pd.to_numeric(when, errors="coerce")
    order = numbers if numbers.notna().all() else pd.to_datetime(when, format="ISO8601", utc=True)
    assert order.argsort(kind="stable").tolist() == first_to_last


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["01/02/2020", "03/01/2020"], ["could be %d/%m/%Y or %m/%d/%Y", "set data.time_format"]),
        (["11/12/13", "12/11/13"], ["could be", "set data.time_format"]),
        (["31/12/2020", "12/31/2020"], ["written in several ways", "'31/12/2020' (%d/%m/%Y)", "'12/31/2020'"]),
        (["2020-12-31", "31/12/2020"], ["written in several ways", "'2020-12-31'", "'31/12/2020'"]),
        (["31/12/2020", "31/12/2020 10:00"], ["written in several ways", "10:00"]),
        (["2020-12-31T10:00", "2020-12-31T10:00Z"], ["some values name a time zone"]),
        (["2020-12-31", "soon", ""], ["2 values are neither numbers nor dates: 'soon', ''"]),
        (["31122020", "01022021"], ["are dates, it seems", '"%d%m%Y"']),
    ],
)
def test_what_could_mean_two_things_is_refused(values, words):
    with pytest.raises(CompError) as refused:
        read(values)
    assert all(word in str(refused.value) for word in words), str(refused.value)
    assert "\n" not in str(refused.value)


def test_dates_that_are_in_one_order_either_way_need_no_format():
    assert read(["01/01/2020", "02/02/2020", "03/03/2020"])[0].is_monotonic_increasing


@pytest.mark.parametrize(("time_format", "first"), [("%d/%m/%Y", 1), ("%m/%d/%Y", 0)])
def test_the_format_that_is_set_decides(time_format, first):
    when, how = read(["01/02/2020", "03/01/2020"], time_format)
    assert (when.argsort().iloc[0], how) == (first, time_format)


def test_a_format_that_does_not_fit_is_refused_with_the_value():
    with pytest.raises(CompError, match=r"1 values cannot be read as data.time_format=%Y: 'x'"):
        read(["2020", "x"], "%Y")
