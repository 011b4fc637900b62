use proptest::prelude::*;

use super::*;
use crate::model::truthy::supporting;
use crate::model::truthy::tests::{evidence, statements};
use crate::model::validity::tests::{day, days, validity};

/// The object that is asked for, and another one.
const ASKED: u8 = 1;
const OTHER: u8 = 2;

fn accepted(time: &str) -> Evidence<u8> {
    Evidence {
        object: ASKED,
        stance: Stance::Asserted,
        standing: Standing::Accepted,
        negated: false,
        is_some_value: false,
        validity: validity(time),
        live: true,
        opposed: false,
    }
}

fn negated(time: &str) -> Evidence<u8> {
    Evidence {
        negated: true,
        ..accepted(time)
    }
}

fn weak(stance: Stance, time: &str) -> Evidence<u8> {
    Evidence {
        stance,
        standing: Standing::Unconfirmed,
        ..accepted(time)
    }
}

fn standing(standing: Standing, time: &str) -> Evidence<u8> {
    Evidence {
        standing,
        ..accepted(time)
    }
}

fn ask<'a>(statements: &'a [Evidence<u8>], on: &str) -> Question<'a, u8> {
    Question {
        statements,
        object: ASKED,
        day: day(on),
        plain: false,
        closed: false,
    }
}

fn plain(statements: &[Evidence<u8>]) -> Question<'_, u8> {
    Question {
        plain: true,
        ..ask(statements, "2019-08-27")
    }
}

fn closed(statements: &[Evidence<u8>]) -> Question<'_, u8> {
    Question {
        closed: true,
        ..ask(statements, "2019-08-27")
    }
}

fn check(statements: &[Evidence<u8>], on: &str, verdict: Verdict, phrase: &str, deciding: &[usize]) {
    check_question(&ask(statements, on), verdict, phrase, deciding);
}

fn check_question(question: &Question<'_, u8>, verdict: Verdict, phrase: &str, deciding: &[usize]) {
    let judgement = judge(question);
    assert_eq!(
        (
            judgement.verdict(),
            judgement.rule.to_string().as_str(),
            judgement.statements.as_slice()
        ),
        (verdict, phrase, deciding),
        "{question:?}"
    );
}

#[test]
fn the_questions_about_2019_have_their_answers() {
    let on = "2019-08-27";
    // Was GSOMIA in force on 2015-01-01? Is it in 2019?
    check(
        &[accepted("2016/..")],
        "2015-01-01",
        Verdict::False,
        "not at that time",
        &[0],
    );
    check(&[accepted("2016/..")], on, Verdict::True, "accepted", &[0]);
    // Were the restrictions in place on 2019-08-01, on 2019-07-01?
    check(
        &[accepted("2019-07/..")],
        "2019-08-01",
        Verdict::True,
        "accepted",
        &[0],
    );
    let some_day = "begins some day from 2019-07-01 to 2019-07-31";
    check(
        &[accepted("2019-07/..")],
        "2019-07-01",
        Verdict::Unknown,
        some_day,
        &[0],
    );
    // Has GSOMIA expired?
    check(
        &[weak(Stance::Planned, "")],
        on,
        Verdict::Unconfirmed,
        "planned, not accomplished",
        &[0],
    );
    // Does its end end all sharing?
    check(&[negated("")], on, Verdict::False, "denied", &[0]);
    // Does South Korea understand the situation? Kono denies it.
    let kono = Evidence {
        standing: Standing::Disputed,
        stance: Stance::Attributed,
        ..negated("")
    };
    check(&[kono], on, Verdict::Disputed, "disputed", &[0]);
    // Is South Korea on the white list?
    check(
        &[accepted("/2019-08-27 @2019-08-27")],
        on,
        Verdict::True,
        "accepted",
        &[0],
    );
    check(
        &[accepted("/2019-08-27 @2019-08-27")],
        "2019-08-28",
        Verdict::False,
        "not at that time",
        &[0],
    );
    // Does Kono hold the office?
    check(
        &[accepted("@2019-08-27")],
        "2019-08-28",
        Verdict::Unknown,
        "last known on 2019-08-27",
        &[0],
    );
    // Who wrote the article?
    let some_value = Evidence {
        object: OTHER,
        is_some_value: true,
        ..accepted("")
    };
    check(
        &[some_value],
        on,
        Verdict::Unknown,
        "there is one, but it is not known",
        &[0],
    );
    // Who is the prime minister of Japan?
    check(&[], on, Verdict::Unknown, "nothing is recorded", &[]);
}

#[test]
fn a_minister_who_has_moved_on_no_longer_holds_the_office() {
    let preferred = Evidence {
        standing: Standing::Preferred,
        ..accepted("2017-08-03/2019-09-11")
    };
    let next = Evidence {
        object: OTHER,
        standing: Standing::Preferred,
        ..accepted("2019-09-12/..")
    };
    let statements = [accepted("@2019-08-27"), preferred, next];
    check(&statements, "2019-09-11", Verdict::True, "accepted", &[1]);
    let hidden = "accepted, but another statement is preferred";
    check(&statements, "2019-09-12", Verdict::Unknown, hidden, &[0]);
    check(
        &statements[1..],
        "2019-09-12",
        Verdict::False,
        "not at that time",
        &[0],
    );
}

#[test]
fn a_preferred_statement_hides_none_of_its_own_object() {
    let preferred = standing(Standing::Preferred, "2010-01-01/ @2012-05-01");
    let statements = [preferred, accepted("2010-01-01/2019-12-31")];
    check(&statements, "2012-05-01", Verdict::True, "accepted", &[0, 1]);
    check(&statements, "2015-06-01", Verdict::True, "accepted", &[1]);
    check(
        &statements,
        "2020-01-01",
        Verdict::Unknown,
        "last known on 2012-05-01",
        &[0],
    );
    let other = Evidence {
        object: OTHER,
        ..preferred
    };
    let hidden = "accepted, but another statement is preferred";
    check(
        &[other, statements[1]],
        "2015-06-01",
        Verdict::Unknown,
        hidden,
        &[1],
    );
}

#[test]
fn that_there_is_some_value_or_none_is_asked_and_said() {
    let on = "2019-08-27";
    let some = |statement: Evidence<u8>| Evidence {
        object: OTHER,
        is_some_value: true,
        ..statement
    };
    let is_there_one = |statements: &[_], verdict, phrase: &str, deciding: &[usize]| {
        let question = Question {
            object: OTHER,
            ..ask(statements, on)
        };
        check_question(&question, verdict, phrase, deciding);
    };
    is_there_one(&[some(accepted(""))], Verdict::True, "accepted", &[0]);
    is_there_one(&[some(negated(""))], Verdict::False, "denied", &[0]);
    is_there_one(
        &[some(weak(Stance::Reported, ""))],
        Verdict::Unconfirmed,
        "reported, not confirmed",
        &[0],
    );
    is_there_one(&[accepted("")], Verdict::Unknown, "nothing is recorded", &[]);
    // There is none: so it is not this one.
    check(&[some(negated(""))], on, Verdict::False, "denied", &[0]);
    check(
        &[some(negated("@2019-08-01"))],
        on,
        Verdict::Unknown,
        "denied, but the denial was last known on 2019-08-01",
        &[0],
    );
    check(
        &[some(negated("")), accepted("")],
        on,
        Verdict::Disputed,
        "both accepted and denied",
        &[0, 1],
    );
    let unconfirmed = Evidence {
        negated: true,
        ..some(weak(Stance::Reported, ""))
    };
    check(&[unconfirmed], on, Verdict::Unknown, "nothing is recorded", &[]);
}

#[test]
fn contradictions_are_disputed() {
    let on = "2019-08-27";
    let both = "both accepted and denied";
    check(&[accepted(""), negated("")], on, Verdict::Disputed, both, &[0, 1]);
    check_question(&plain(&[negated("")]), Verdict::Disputed, both, &[0]);
    check_question(&plain(&[]), Verdict::True, "a plain triple", &[]);
    check_question(
        &plain(&[accepted("2020/..")]),
        Verdict::True,
        "a plain triple",
        &[],
    );
    // Each at its time.
    let statements = [accepted("2016/2018"), negated("2019-02-01/..")];
    check(&statements, "2017-01-01", Verdict::True, "accepted", &[0]);
    check(&statements, on, Verdict::False, "denied", &[1]);
    // One of them is not certain.
    let statements = [accepted("@2019-01-01"), negated("@2019-02-01")];
    check(&statements, "2019-01-01", Verdict::True, "accepted", &[0]);
    check(&statements, "2019-02-01", Verdict::False, "denied", &[1]);
    check(
        &statements,
        "2019-02-02",
        Verdict::Unknown,
        "last known on 2019-01-01",
        &[0],
    );
    // A dispute about another time is none about this.
    check(
        &[standing(Standing::Disputed, "2016/2017")],
        on,
        Verdict::Unknown,
        "nothing is recorded",
        &[],
    );
    check(
        &[accepted(""), standing(Standing::Disputed, "")],
        on,
        Verdict::Disputed,
        "disputed",
        &[1],
    );
}

/// Of the statements that there is none, the one that is contradicted counts for the other objects too, whichever comes first.
#[test]
fn a_bystander_is_opposed() {
    let none = Evidence {
        object: OTHER,
        is_some_value: true,
        ..negated("")
    };
    let opposed = Evidence {
        opposed: true,
        ..none
    };
    let phrase = "accepted, and so is what contradicts it";
    for (statements, deciding) in [([opposed, none], 0), ([none, opposed], 1)] {
        check(&statements, "2019-08-27", Verdict::Disputed, phrase, &[deciding]);
        check(
            &bystanders(&statements, day("2019-08-27")),
            "2019-08-27",
            Verdict::Disputed,
            phrase,
            &[0],
        );
    }
    let accepted = Evidence {
        opposed: true,
        ..accepted("")
    };
    check(&[accepted], "2019-08-27", Verdict::Disputed, phrase, &[0]);
    check(
        &[accepted, negated("")],
        "2019-08-27",
        Verdict::Disputed,
        "both accepted and denied",
        &[0, 1],
    );
}

#[test]
fn what_is_not_among_all_is_false() {
    let phrase = "not among the objects, all of which are recorded";
    let other = Evidence {
        object: OTHER,
        ..accepted("")
    };
    check_question(&closed(&[]), Verdict::False, phrase, &[]);
    check_question(&closed(&[other]), Verdict::False, phrase, &[]);
    check_question(
        &closed(&[weak(Stance::Reported, "")]),
        Verdict::False,
        phrase,
        &[],
    );
    check_question(&closed(&[accepted(""), other]), Verdict::True, "accepted", &[0]);
    check_question(
        &closed(&[accepted("@2019-08-26")]),
        Verdict::Unknown,
        "last known on 2019-08-26",
        &[0],
    );
    // One of them is not known, and may be it.
    let some_value = Evidence {
        is_some_value: true,
        ..other
    };
    check_question(
        &closed(&[some_value]),
        Verdict::Unknown,
        "there is one, but it is not known",
        &[0],
    );
    check_question(
        &Question {
            plain: true,
            ..closed(&[])
        },
        Verdict::True,
        "a plain triple",
        &[],
    );
}

#[test]
fn weak_statements_do_not_confirm() {
    let on = "2019-08-27";
    for (stance, phrase) in [
        (Stance::Asserted, "stated, not confirmed"),
        (Stance::Attributed, "said by somebody, not confirmed"),
        (Stance::Reported, "reported, not confirmed"),
        (Stance::Planned, "planned, not accomplished"),
        (Stance::Projected, "expected, not accomplished"),
        (Stance::Opinion, "a judgement, not a fact"),
    ] {
        check(&[weak(stance, "")], on, Verdict::Unconfirmed, phrase, &[0]);
        check(
            &[weak(Stance::Opinion, ""), weak(stance, "")],
            on,
            Verdict::Unconfirmed,
            phrase,
            &[0, 1],
        );
    }
    let planned = Evidence {
        stance: Stance::Planned,
        ..accepted("")
    };
    check(
        &[planned],
        on,
        Verdict::Unconfirmed,
        "planned, not accomplished",
        &[0],
    );
    let reported = Evidence {
        stance: Stance::Reported,
        ..accepted("")
    };
    check(&[reported], on, Verdict::True, "accepted", &[0]);
    let elsewhen = "not confirmed, and for another time";
    check(
        &[weak(Stance::Planned, "2019-08-28/..")],
        on,
        Verdict::Unknown,
        elsewhen,
        &[0],
    );
    let denied = Evidence {
        negated: true,
        ..weak(Stance::Attributed, "")
    };
    check(&[denied], on, Verdict::Unknown, "denied, not confirmed", &[0]);
    check(
        &[standing(Standing::Rejected, "")],
        on,
        Verdict::Unknown,
        "stated, but rejected",
        &[0],
    );
    // Not the only support.
    let statements = [weak(Stance::Reported, ""), accepted("@2019-08-01")];
    check(
        &statements,
        on,
        Verdict::Unknown,
        "last known on 2019-08-01",
        &[1],
    );
}

#[test]
fn the_reason_that_tells_most_is_given() {
    let statements = [
        accepted("2019"),
        accepted("@2019-08-01"),
        accepted("@2019-08-20"),
        accepted("/2020"),
    ];
    check(
        &statements,
        "2019-08-27",
        Verdict::Unknown,
        "last known on 2019-08-20",
        &[0, 1, 2, 3],
    );
    check(
        &statements[3..],
        "2019-08-27",
        Verdict::Unknown,
        "no day is known on which it holds",
        &[0],
    );
    let first = [accepted("@2019-09-02"), accepted("@2019-09-01")];
    check(
        &first,
        "2019-08-27",
        Verdict::Unknown,
        "first known on 2019-09-01",
        &[0, 1],
    );
}

#[test]
fn uncertain_denials_are_told() {
    for (time, phrase) in [
        (
            "2019",
            "denied, but the denial begins some day from 2019-01-01 to 2019-12-31",
        ),
        (
            "@2019-08-01",
            "denied, but the denial was last known on 2019-08-01",
        ),
        (
            "@2019-08-28",
            "denied, but the denial was first known on 2019-08-28",
        ),
        (
            "/2020",
            "denied, but the denial has no day on which it is known to hold",
        ),
    ] {
        check(&[negated(time)], "2019-08-27", Verdict::Unknown, phrase, &[0]);
    }
}

#[test]
fn retracted_statements_say_nothing() {
    for statement in [
        accepted(""),
        negated(""),
        standing(Standing::Disputed, ""),
        weak(Stance::Planned, ""),
    ] {
        let retracted = Evidence {
            live: false,
            ..statement
        };
        check(
            &[retracted],
            "2019-08-27",
            Verdict::Unknown,
            "nothing is recorded",
            &[],
        );
    }
}

fn questions() -> impl Strategy<Value = (Vec<Evidence<u8>>, Day, bool, bool)> {
    (
        statements(),
        days(),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
    )
}

proptest! {
    #[test]
    fn verdicts_agree_with_the_truthy_rule((statements, day, plain, closed) in questions()) {
        let judgement = judge(&Question { statements: &statements, object: ASKED, day, plain, closed });
        let supports: Vec<_> = supporting(&statements, day).filter(|index| statements[*index].object == ASKED).collect();
        let truthy = plain || !supports.is_empty();
        let other_hides = statements
            .iter()
            .any(|one| one.object != ASKED && one.standing == Standing::Preferred && one.counts(day));
        let certain = plain
            || statements.iter().any(|one| {
                one.object == ASKED
                    && one.counts(day)
                    && one.validity.holds_at(day) == Certainty::Certainly
                    && (one.standing == Standing::Preferred || !other_hides)
            });
        match judgement.verdict() {
            Verdict::True => prop_assert!(truthy && certain),
            Verdict::False => prop_assert!(judgement.rule == Rule::Denied || !truthy),
            Verdict::Unconfirmed => prop_assert!(!truthy),
            Verdict::Unknown => prop_assert!(!certain),
            Verdict::Disputed => {}
        }
        if certain {
            prop_assert!(matches!(judgement.verdict(), Verdict::True | Verdict::Disputed));
        }
    }

    #[test]
    fn bystanders_and_its_own_statements_decide_on_an_object((statements, day, plain, closed) in questions()) {
        let few = bystanders(&statements, day);
        prop_assert!(few.len() <= 6);
        for object in [0, ASKED, OTHER, 3, u8::MAX] {
            let ask = |statements| judge(&Question { statements, object, day, plain, closed }).rule;
            let own = statements.iter().filter(|statement| statement.object == object);
            let enough: Vec<_> = own.chain(&few).copied().collect();
            prop_assert_eq!(ask(&enough), ask(&statements), "{}", object);
        }
    }

    #[test]
    fn the_order_of_statements_does_not_matter(
        ((statements, day, plain, closed), shuffled) in questions()
            .prop_flat_map(|question| (Just(question.clone()), Just(question.0).prop_shuffle())),
    ) {
        let ask = |statements| judge(&Question { statements, object: ASKED, day, plain, closed });
        let (one, other) = (ask(&statements), ask(&shuffled));
        prop_assert_eq!(one.rule, other.rule);
        prop_assert_eq!(one.statements.len(), other.statements.len());
    }

    #[test]
    fn retracted_statements_change_nothing((statements, day, plain, closed) in questions(), more in evidence()) {
        let ask = |statements: &[_]| judge(&Question { statements, object: ASKED, day, plain, closed });
        let before = ask(&statements);
        let mut added = statements.clone();
        added.push(Evidence { live: false, ..more });
        prop_assert_eq!(ask(&added), before);
    }

    #[test]
    fn what_decided_is_enough((statements, day, plain, closed) in questions()) {
        let judgement = judge(&Question { statements: &statements, object: ASKED, day, plain, closed });
        prop_assert!(judgement.statements.is_sorted_by(|a, b| a < b));
        // What hides a statement, or may be the missing object of a closed predicate, is not among the deciding ones.
        if judgement.rule != Rule::Hidden && !(closed && matches!(judgement.verdict(), Verdict::Unconfirmed | Verdict::Unknown)) {
            let deciding: Vec<_> = judgement.statements.iter().map(|index| statements[*index]).collect();
            let alone = judge(&Question { statements: &deciding, object: ASKED, day, plain, closed });
            prop_assert_eq!(alone.rule, judgement.rule);
        }
    }
}
