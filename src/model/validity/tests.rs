use proptest::prelude::*;

use super::*;

pub(in crate::model) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// Reads `2019-07/..` or `2019-07/.. @2019-08-01 @2019-08-27`, with days of observation.
pub(in crate::model) fn validity(text: &str) -> Validity {
    let (edtf, observed) = text.split_once('@').unwrap_or((text, ""));
    let edtf = edtf.trim();
    let observed = observed.split('@').map(str::trim).filter(|day| !day.is_empty());
    Validity::new(
        (!edtf.is_empty()).then(|| edtf.parse().unwrap()),
        observed.map(day),
    )
}

/// Times of all kinds around the years 2000 to 2004.
pub(in crate::model) fn validities() -> impl Strategy<Value = Validity> {
    let date = prop_oneof![
        (2000i64..2004).prop_map(|year| year.to_string()),
        (2000i64..2004, 1u8..13).prop_map(|(year, month)| format!("{year}-{month:02}")),
        (2000i64..2004, 1u8..13, 1u8..29)
            .prop_map(|(year, month, day)| format!("{year}-{month:02}-{day:02}")),
    ];
    let date = (date, prop_oneof![4 => Just(""), 1 => Just("?"), 1 => Just("~")])
        .prop_map(|(date, mark)| date + mark);
    let side = prop_oneof![4 => date.clone(), 1 => Just("..".to_owned()), 1 => Just(String::new())];
    let edtf = prop_oneof![
        1 => Just(None),
        1 => date.prop_map(|date| date.parse().ok()),
        4 => (side.clone(), side).prop_map(|(start, end)| format!("{start}/{end}").parse().ok()),
    ];
    (edtf, prop::collection::vec(days(), 0..3)).prop_map(|(bounds, days)| Validity::new(bounds, days))
}

pub(in crate::model) fn days() -> impl Strategy<Value = Day> {
    (10_900i64..12_500).prop_map(|number| Day::of_unix_seconds(number * 86_400))
}

/// Checks whether a time is presumed to hold (`+`) or not (`-`), and whether that is certain or why it is not.
fn check(text: &str, on: &str, presumed: char, expected: &str) {
    let actual = validity(text);
    let certainty = match actual.holds_at(day(on)) {
        Certainty::Certainly => "yes".to_owned(),
        Certainty::CertainlyNot => "no".to_owned(),
        Certainty::Uncertain(why) => why.to_string(),
    };
    assert_eq!(certainty, expected, "{text} on {on}");
    assert_eq!(actual.is_presumed_at(day(on)), presumed == '+', "{text} on {on}");
}

#[test]
fn one_of_a_set_is_uncertain_from_its_first_day_to_its_last() {
    let span = "some day from 2016-01-01 to 2018-12-31";
    check("[2016,2018]", "2015-12-31", '-', "no");
    check("[2016,2018]", "2016-01-01", '-', &format!("begins {span}"));
    check("[2016,2018]", "2017-06-01", '-', &format!("begins {span}"));
    check("[2016,2018]", "2018-12-31", '-', &format!("ends {span}"));
    check("[2016,2018]", "2019-01-01", '-', "no");
    check("[2016,2018] @2018-05-01", "2018-05-01", '+', "yes");
    check("[2019-08-02]", "2019-08-02", '+', "yes");
}

proptest! {
    /// What a set tells for certain is so whichever of its dates is meant.
    #[test]
    fn a_set_says_no_more_than_each_of_its_dates(
        dates in prop::collection::vec(
            ((2000i64..2004, 1u8..13, 1u8..29), 0..3_usize, prop_oneof![4 => Just(""), 1 => Just("?"), 1 => Just("~")]),
            1..4,
        ),
        is_range in any::<bool>(),
        day in days(),
    ) {
        let date = |((year, month, day), precision, mark): &((i64, u8, u8), usize, &str)| {
            let texts = [format!("{year}"), format!("{year}-{month:02}"), format!("{year}-{month:02}-{day:02}")];
            format!("{}{mark}", texts[*precision])
        };
        let dates: Vec<_> = dates.iter().map(date).collect();
        let separator = if is_range && dates.len() == 2 { ".." } else { "," };
        let Ok(bounds) = format!("[{}]", dates.join(separator)).parse() else {
            return Ok(());
        };
        let set = Validity::new(Some(bounds), []);
        for date in &dates {
            let one = Validity::new(Some(date.parse().unwrap()), []);
            if !matches!(set.holds_at(day), Certainty::Uncertain(_)) {
                prop_assert_eq!(set.holds_at(day), one.holds_at(day), "{}", date);
            }
            prop_assert!(!set.is_presumed_at(day) || one.is_presumed_at(day), "{}", date);
        }
    }
}

#[test]
fn what_has_no_time_always_holds() {
    for text in ["", "../.."] {
        check(text, "-9999-01-01", '+', "yes");
        check(text, "9999-12-31", '+', "yes");
    }
}

#[test]
fn days_inside_the_precision_are_uncertain() {
    check("2019-07/..", "2019-06-30", '-', "no");
    check(
        "2019-07/..",
        "2019-07-01",
        '-',
        "begins some day from 2019-07-01 to 2019-07-31",
    );
    check(
        "2019-07/..",
        "2019-07-30",
        '-',
        "begins some day from 2019-07-01 to 2019-07-31",
    );
    check("2019-07/..", "2019-07-31", '+', "yes");
    check("2019-07/..", "2019-08-01", '+', "yes");
    check("../2019-07", "2019-07-01", '+', "yes");
    check(
        "../2019-07",
        "2019-07-02",
        '-',
        "ends some day from 2019-07-01 to 2019-07-31",
    );
    check(
        "../2019-07",
        "2019-07-31",
        '-',
        "ends some day from 2019-07-01 to 2019-07-31",
    );
    check("../2019-07", "2019-08-01", '-', "no");
    check(
        "2016",
        "2016-06-01",
        '-',
        "begins some day from 2016-01-01 to 2016-12-31",
    );
    check(
        "2016",
        "2016-01-01",
        '-',
        "begins some day from 2016-01-01 to 2016-12-31",
    );
    check(
        "2016",
        "2016-12-31",
        '-',
        "ends some day from 2016-01-01 to 2016-12-31",
    );
    check("2016", "2015-12-31", '-', "no");
    check("2016", "2017-01-01", '-', "no");
    check("2019-08-06", "2019-08-06", '+', "yes");
    check("2019-08-06", "2019-08-07", '-', "no");
    check("2019-11-22/2023-03", "2023-02-28", '+', "yes");
}

#[test]
fn marked_dates_are_uncertain_on_each_of_their_days() {
    check(
        "2019-07?/..",
        "2019-07-31",
        '+',
        "begins perhaps some day from 2019-07-01 to 2019-07-31",
    );
    check("../2019-08-27?", "2019-08-26", '+', "yes");
    check("../2019-08-27?", "2019-08-27", '+', "ends perhaps on 2019-08-27");
    check("../2019-08-27?", "2019-08-28", '-', "no");
}

#[test]
fn estimates_may_be_off_by_one_unit() {
    let begins = "begins about on 2019-08-02";
    check("2019-08-02~/..", "2019-07-31", '-', "no");
    check("2019-08-02~/..", "2019-08-01", '-', begins);
    check("2019-08-02~/..", "2019-08-02", '+', begins);
    check("2019-08-02~/..", "2019-08-03", '+', begins);
    check("2019-08-02~/..", "2019-08-04", '+', "yes");
    let ends = "ends perhaps about on 2019-08-27";
    check("../2019-08-27%", "2019-08-25", '+', "yes");
    check("../2019-08-27%", "2019-08-26", '+', ends);
    check("../2019-08-27%", "2019-08-28", '-', ends);
    check("../2019-08-27%", "2019-08-29", '-', "no");
    // A year, a month, a season, a decade.
    check("1984~", "1982-12-31", '-', "no");
    check(
        "1984~",
        "1985-01-01",
        '-',
        "begins about some day from 1984-01-01 to 1984-12-31",
    );
    check("1984~", "1986-01-01", '-', "no");
    check(
        "2019-12~/..",
        "2020-01-31",
        '+',
        "begins about some day from 2019-12-01 to 2019-12-31",
    );
    check("2019-12~/..", "2020-02-01", '+', "yes");
    check("2019-24~/..", "2019-08-31", '-', "no");
    check(
        "2019-24~/..",
        "2019-09-01",
        '-',
        "begins about some day from 2019-12-01 to 2020-02-29",
    );
    check("198X~/..", "1969-12-31", '-', "no");
    check("198X~/..", "2000-01-01", '+', "yes");
    // What is observed is, within the estimate.
    check("1984~/.. @1983-05-01", "1983-05-01", '+', "yes");
    check(
        "1984~/.. @1983-05-01",
        "1983-04-30",
        '-',
        "begins about on 1984-01-01",
    );
}

#[test]
fn observations_narrow_the_time() {
    check(
        "2019/.. @2019-03-01",
        "2019-02-28",
        '-',
        "begins some day from 2019-01-01 to 2019-03-01",
    );
    check("2019/.. @2019-03-01", "2019-03-01", '+', "yes");
    check("2019/.. @2019-03-01", "2019-06-01", '+', "yes");
    check("2016/2019 @2019-08-27", "2019-08-27", '+', "yes");
    check(
        "2016/2019 @2019-08-27",
        "2019-08-28",
        '-',
        "ends some day from 2019-08-27 to 2019-12-31",
    );
    check("2016 @2016-05-02 @2016-05-04", "2016-05-03", '+', "yes");
    check("2016/ @2016-05-01", "2016-05-02", '+', "last known on 2016-05-01");
    // It is so on the day that is observed, however uncertain its dates are.
    check("2019-08-02?/.. @2019-08-02", "2019-08-02", '+', "yes");
    check("../2019-08-27? @2019-08-27", "2019-08-27", '+', "yes");
    // What is outside the time was not observed.
    check("2016/2018 @2019-08-27", "2019-08-27", '-', "no");
    check(
        "2016-05-01/2018 @2015-01-01 @2017-01-01",
        "2016-05-01",
        '+',
        "yes",
    );
}

#[test]
fn an_unknown_start_is_the_first_observation() {
    check(
        "/2019-08-27 @2019-08-20",
        "2019-08-19",
        '-',
        "first known on 2019-08-20",
    );
    check("/2019-08-27 @2019-08-20", "2019-08-20", '+', "yes");
    check("/2019-08-27 @2019-08-20", "2019-08-27", '+', "yes");
    check("/2019-08-27 @2019-08-20", "2019-08-28", '-', "no");
    check("/.. @2019-08-27 @2019-08-20", "2019-08-20", '+', "yes");
    check(
        "/2019-08-27",
        "2019-08-27",
        '-',
        "no day is known on which it holds",
    );
    check("/2019-08-27", "2019-08-28", '-', "no");
}

#[test]
fn an_unknown_end_is_presumed_not_to_have_come() {
    check("@2019-08-27", "2019-08-26", '-', "first known on 2019-08-27");
    check("@2019-08-27", "2019-08-27", '+', "yes");
    check("@2019-08-27", "2019-08-28", '+', "last known on 2019-08-27");
    check("2017-08-03/", "2017-08-02", '-', "no");
    check("2017-08-03/", "2017-08-03", '+', "yes");
    check("2017-08-03/", "2017-08-04", '+', "last known on 2017-08-03");
    check("2017-08-03/ @2019-08-27", "2019-08-27", '+', "yes");
    check(
        "2017-08-03/ @2019-08-27",
        "2019-08-28",
        '+',
        "last known on 2019-08-27",
    );
    check("../", "2019-08-28", '+', "no day is known on which it holds");
    // That it began some day of the year does not make the last one known.
    for day in ["2016-12-31", "2017-01-01"] {
        check("2016/", day, '+', "no day is known on which it holds");
    }
    check(
        "2017-08-03~/",
        "2017-08-05",
        '+',
        "no day is known on which it holds",
    );
}

proptest! {
    #[test]
    fn what_is_certain_is_presumed(validity in validities(), day in days()) {
        match validity.holds_at(day) {
            Certainty::Certainly => prop_assert!(validity.is_presumed_at(day)),
            Certainty::CertainlyNot => prop_assert!(!validity.is_presumed_at(day)),
            Certainty::Uncertain(_) => {}
        }
    }

    #[test]
    fn what_is_observed_is_certain(validity in validities(), day in days()) {
        let bounds = Bounds { start: validity.start, end: validity.end };
        let observed = validity.observed.into_iter().flat_map(|(first, last)| [first, last]);
        let observed = Validity::new(Some(bounds), observed.chain([day]));
        prop_assert_eq!(
            observed.holds_at(day) == Certainty::Certainly,
            !Validity::excludes(bounds, day)
        );
        // It takes no certainty away.
        if let Some((first, last)) = validity.observed {
            prop_assert_eq!(observed.holds_at(first), Certainty::Certainly);
            prop_assert_eq!(observed.holds_at(last), Certainty::Certainly);
        }
    }
}
