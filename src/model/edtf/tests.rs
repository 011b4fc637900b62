use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Bounds {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn shown(day: Option<Day>) -> String {
    day.map(|day| day.to_string()).unwrap_or_default()
}

/// Checks the first and the last day of a single date.
fn check(text: &str, first: &str, last: &str, precision: Precision) {
    let Edge::Date(date) = parse(text).start else {
        panic!("{text} has no date");
    };
    assert_eq!(parse(text).end, Edge::Date(date), "{text}");
    assert_eq!(
        (
            date.first.to_string().as_str(),
            date.last.to_string().as_str(),
            date.precision
        ),
        (first, last, precision),
        "{text}"
    );
}

/// Checks earliest and latest start, earliest and latest end.
fn check_interval(text: &str, expected: [&str; 4]) {
    let bounds = parse(text);
    let actual = [
        shown(bounds.earliest_start()),
        shown(bounds.latest_start()),
        shown(bounds.earliest_end()),
        shown(bounds.latest_end()),
    ];
    assert_eq!(actual, expected, "{text}");
}

fn check_error(text: &str, column: usize, reason: Reason) {
    assert_eq!(
        text.parse::<Bounds>(),
        Err(EdtfError { column, reason }),
        "{text}"
    );
}

#[test]
fn dates_mean_days() {
    check("2016", "2016-01-01", "2016-12-31", Precision::Year);
    check("0000", "0000-01-01", "0000-12-31", Precision::Year);
    check("2019-07", "2019-07-01", "2019-07-31", Precision::Month);
    check("2019-12", "2019-12-01", "2019-12-31", Precision::Month);
    check("2000-02", "2000-02-01", "2000-02-29", Precision::Month);
    check("1900-02", "1900-02-01", "1900-02-28", Precision::Month);
    check("2019-08-02", "2019-08-02", "2019-08-02", Precision::Day);
    check("2000-02-29", "2000-02-29", "2000-02-29", Precision::Day);
    check("-1985", "-1985-01-01", "-1985-12-31", Precision::Year);
    check("-0043-03-15", "-0043-03-15", "-0043-03-15", Precision::Day);
    check("Y12345", "12345-01-01", "12345-12-31", Precision::Year);
    check(
        "Y170000002",
        "170000002-01-01",
        "170000002-12-31",
        Precision::Year,
    );
    check(
        "Y-170000002",
        "-170000002-01-01",
        "-170000002-12-31",
        Precision::Year,
    );
}

#[test]
fn seasons_are_three_months() {
    check("2001-21", "2001-03-01", "2001-05-31", Precision::Season);
    check("2001-22", "2001-06-01", "2001-08-31", Precision::Season);
    check("2001-23", "2001-09-01", "2001-11-30", Precision::Season);
    check("2003-24", "2003-12-01", "2004-02-29", Precision::Season);
}

#[test]
fn unspecified_digits_are_every_digit() {
    check("201X", "2010-01-01", "2019-12-31", Precision::Decade);
    check("20XX", "2000-01-01", "2099-12-31", Precision::Century);
    check("-004X", "-0049-01-01", "-0040-12-31", Precision::Decade);
    check("2004-XX", "2004-01-01", "2004-12-31", Precision::Year);
    check("1985-04-XX", "1985-04-01", "1985-04-30", Precision::Month);
    check("1985-XX-XX", "1985-01-01", "1985-12-31", Precision::Year);
}

#[test]
fn a_time_is_its_day_as_written() {
    for text in [
        "2019-08-22T18:20:00",
        "2019-08-22T00:00:00Z",
        "2019-08-22T23:59:60-04",
        "2019-08-22T01:00:00+09:00",
    ] {
        check(text, "2019-08-22", "2019-08-22", Precision::Day);
    }
}

#[test]
fn intervals_have_four_bounds() {
    check_interval("2016", ["2016-01-01", "2016-12-31", "2016-01-02", "2017-01-01"]);
    check_interval(
        "1964/2008",
        ["1964-01-01", "1964-12-31", "2008-01-02", "2009-01-01"],
    );
    check_interval(
        "2004-02-01/2005",
        ["2004-02-01", "2004-02-01", "2005-01-02", "2006-01-01"],
    );
    check_interval(
        "2019-11-22/2023-03",
        ["2019-11-22", "2019-11-22", "2023-03-02", "2023-04-01"],
    );
    check_interval(
        "2019-08-XX/2019-08-27",
        ["2019-08-01", "2019-08-31", "2019-08-28", "2019-08-28"],
    );
    check_interval("2016/..", ["2016-01-01", "2016-12-31", "", ""]);
    check_interval("/2019-08-27", ["", "", "2019-08-28", "2019-08-28"]);
    check_interval(
        "2019-08/2019-08",
        ["2019-08-01", "2019-08-31", "2019-08-02", "2019-09-01"],
    );
    // The end can be before the start, if it need not.
    check_interval(
        "2019-08-27/2019",
        ["2019-08-27", "2019-08-27", "2019-01-02", "2020-01-01"],
    );
}

#[test]
fn open_and_unknown_sides_are_told_apart() {
    let sides = |text| (parse(text).start, parse(text).end);
    assert_eq!(sides("../.."), (Edge::Open, Edge::Open));
    assert_eq!(sides("/.."), (Edge::Unknown, Edge::Open));
    assert_eq!(sides("../"), (Edge::Open, Edge::Unknown));
    assert_eq!(sides("2019/").1, Edge::Unknown);
    assert_eq!(sides("../2019").0, Edge::Open);
}

#[test]
fn marks_belong_to_their_date() {
    let marks = |text| {
        let bounds = parse(text);
        [bounds.start, bounds.end].map(|edge| edge.date().map(|date| (date.uncertain, date.approximate)))
    };
    assert_eq!(marks("1984?"), [Some((true, false)); 2]);
    assert_eq!(marks("2004-06~"), [Some((false, true)); 2]);
    assert_eq!(marks("2004-06-11%"), [Some((true, true)); 2]);
    assert_eq!(marks("201X~/.."), [Some((false, true)), None]);
    assert_eq!(
        marks("1984-06-02?/2004-08-08~"),
        [Some((true, false)), Some((false, true))]
    );
    assert_eq!(
        marks("Y17000~/Y17001"),
        [Some((false, true)), Some((false, false))]
    );
    check("2001-21?", "2001-03-01", "2001-05-31", Precision::Season);
}

#[test]
fn one_of_a_set_can_be_each_of_its_dates() {
    check("[2016,2018]", "2016-01-01", "2018-12-31", Precision::Year);
    check("[2018,2016-11-23]", "2016-11-23", "2018-12-31", Precision::Year);
    check("[2019-08-02]", "2019-08-02", "2019-08-02", Precision::Day);
    check(
        "[2019-08-02..2019-08-05,2019-09]",
        "2019-08-02",
        "2019-09-30",
        Precision::Month,
    );
    check(
        "[1667,1668,1670..1672]",
        "1667-01-01",
        "1672-12-31",
        Precision::Year,
    );
    check("[-0043,Y12345]", "-0043-01-01", "12345-12-31", Precision::Year);
    check_interval(
        "[2016,2018]",
        ["2016-01-01", "2018-12-31", "2016-01-02", "2019-01-01"],
    );
    let date = |text| *parse(text).start.date().unwrap();
    assert!(date("[2016?,2018]").uncertain && !date("[2016?,2018]").approximate);
    // As far as an estimate of any of them reaches.
    let (first, last) = date("[2016-03-05~,2018]").reach();
    assert_eq!(
        (first.to_string(), last.to_string()),
        ("2015-03-01".to_owned(), "2019-12-31".to_owned())
    );
}

#[test]
fn all_of_a_set_is_an_interval() {
    for text in ["{1960,1961,1962}", "{1960..1962}", "{1960..1961,1962-01..1962}"] {
        check_interval(text, ["1960-01-01", "1960-12-31", "1962-01-02", "1963-01-01"]);
    }
    check_interval(
        "{2019-12-30,2019-12-31,2020-01}",
        ["2019-12-30", "2019-12-30", "2020-01-02", "2020-02-01"],
    );
    check("{2019-08}", "2019-08-01", "2019-08-31", Precision::Month);
    assert_eq!(parse("{1960?,1961}"), parse("1960?/1961"));
}

#[test]
fn errors_say_what_and_where() {
    check_error("", 1, Reason::Empty);
    check_error(" 2019", 1, Reason::Year);
    check_error("19-08-27", 3, Reason::Year);
    check_error("20191", 5, Reason::Year);
    check_error("2XXX", 2, Reason::Year);
    check_error("20X1", 4, Reason::Year);
    check_error("2019年", 5, Reason::Trailing);
    check_error("-0000", 1, Reason::NegativeZero);
    check_error("Y2019", 6, Reason::LongYear);
    check_error("Y012345", 2, Reason::LongYear);
    check_error("Y", 2, Reason::LongYear);
    check_error("Y12345-01", 7, Reason::Trailing);
    check_error("2019-", 6, Reason::Month);
    check_error("2019-8", 7, Reason::Month);
    check_error("2019-13", 6, Reason::Month);
    check_error("2019-00", 6, Reason::Month);
    check_error("2019-20", 6, Reason::Month);
    check_error("2019-25", 6, Reason::Month);
    check_error("2019-1X", 7, Reason::Month);
    check_error("2019-21-01", 8, Reason::Trailing);
    check_error("2019-02-29", 9, Reason::Day);
    check_error("2019-04-31", 9, Reason::Day);
    check_error("2019-08-00", 9, Reason::Day);
    check_error("2019-08-3X", 10, Reason::Day);
    check_error("201X-08", 5, Reason::AfterUnspecified);
    check_error("2019-XX-01", 9, Reason::AfterUnspecified);
    check_error("2019-08-27 ", 11, Reason::Trailing);
    check_error("2019??", 6, Reason::Trailing);
    check_error("2019?-08", 6, Reason::Trailing);
    check_error("2019-08T10:00:00", 8, Reason::Trailing);
    check_error("2019-08-22?T10:00:00", 12, Reason::Trailing);
    check_error("2019-08-22T18", 14, Reason::Time);
    check_error("2019-08-22T24:00:00", 12, Reason::Time);
    check_error("2019-08-22T18:60:00", 15, Reason::Time);
    check_error("2019-08-22T18:00:61", 18, Reason::Time);
    check_error("2019-08-22T18:00:00+15", 21, Reason::Time);
    check_error("2019-08-22T18:00:00+1", 22, Reason::Time);
    check_error("2019-08-22T18:00:00z", 20, Reason::Trailing);
    check_error("2019-08-22T18:00:00/..", 11, Reason::TimeInInterval);
    check_error("2019/2020/2021", 10, Reason::SecondSlash);
    check_error("2019/2018", 6, Reason::EndBeforeStart);
    check_error("2019-08-28/2019-08-27", 12, Reason::EndBeforeStart);
    check_error("2019/x", 6, Reason::Year);
    check_error("2019/...", 6, Reason::Year);
    check_error(".../2019", 1, Reason::Year);
    check_error("..", 1, Reason::Year);
    check_error("/", 1, Reason::NothingKnown);
    check_error("[2019,2020", 11, Reason::Set);
    check_error("[2019,2020)", 11, Reason::Set);
    check_error("[]", 2, Reason::Set);
    check_error("[2019,]", 7, Reason::Set);
    check_error("[,2019]", 2, Reason::Set);
    check_error("[..2019]", 2, Reason::Set);
    check_error("[2019..]", 8, Reason::Set);
    check_error("[2019.2020]", 7, Reason::Set);
    check_error("[2019..2018]", 8, Reason::EndBeforeStart);
    check_error("[2019, 2020]", 7, Reason::Year);
    check_error("[2019-13,2020]", 7, Reason::Month);
    check_error("[2019-08-22T18:00:00]", 12, Reason::Set);
    check_error("[2019/2020]", 6, Reason::Set);
    check_error("[2019,2020]?", 12, Reason::Trailing);
    check_error("[2016,2018]/2020", 12, Reason::Trailing);
    check_error("2015/[2016,2018]", 6, Reason::Year);
    check_error("{2016,2018}", 7, Reason::AllOf);
    check_error("{2016,2017-02}", 7, Reason::AllOf);
    check_error("{2016,2016}", 7, Reason::AllOf);
    check_error("{2017,2016}", 7, Reason::AllOf);
    check_error("{2016,2017?,2018}", 7, Reason::AllOf);
    check_error("{2009,201X,2020}", 7, Reason::AllOf);
    check_error("{2018..2019-XX,2020}", 8, Reason::AllOf);
    check_error("{2018..2016}", 8, Reason::EndBeforeStart);
    check_error("{2019,2020", 11, Reason::Set);
    check_error("{2019,2020]", 11, Reason::Set);
    check_error("[2019,2020}", 11, Reason::Set);
    check_error("{}", 2, Reason::Set);
    check_error("{2019,}", 7, Reason::Set);
    check_error("{2019}?", 7, Reason::Trailing);
    assert_eq!(
        "2019-13".parse::<Bounds>().unwrap_err().to_string(),
        "column 6: a month is 01 to 12 or XX, a season 21 to 24"
    );
}

#[test]
fn years_of_any_length_have_bounds() {
    let far = parse(&format!("Y{}", "9".repeat(400)));
    assert!(far.latest_start() > parse("Y170000002").latest_start());
    let long_ago = parse(&format!("Y-{}/..", "9".repeat(400)));
    assert!(long_ago.earliest_start() < parse("-9999").earliest_start());
}

proptest! {
    #[test]
    fn any_text_has_bounds_or_an_error_inside(text in "\\PC{0,24}|[-0-9XYT:/.?~%Z+]{0,24}|[\\[{][-0-9X,.?~%]{0,24}[\\]}]") {
        match text.parse::<Bounds>() {
            Ok(bounds) => {
                for date in [bounds.start, bounds.end].iter().filter_map(Edge::date) {
                    prop_assert!(date.first <= date.last);
                }
            }
            Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.column)),
        }
    }

    #[test]
    fn a_date_contains_what_makes_it_more_precise(year in 0i64..10_000, month in 1u8..13, day in 1u8..32) {
        prop_assume!(Day::new(year, month, day).is_some());
        let exact = parse(&format!("{year:04}-{month:02}-{day:02}"));
        let day = exact.earliest_start().unwrap();
        for text in [
            format!("{year:04}-{month:02}"),
            format!("{year:04}-{month:02}-XX"),
            format!("{year:04}"),
            format!("{:03}X", year / 10),
            format!("{:02}XX", year / 100),
        ] {
            prop_assert!(parse(&text).start.date().unwrap().can_be(day), "{}", text);
        }
        prop_assert_eq!(exact.latest_end(), Some(day.next()));
    }
}
