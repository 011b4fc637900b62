use std::time::{Duration, Instant};

use super::*;
use crate::{
    graph::Snapshot,
    sparql::{
        RunLimit, RunLimits,
        tests::{graph, numbers, parser},
    },
};

fn update(snapshot: &Snapshot, text: &str) -> Result<(u64, u64, Snapshot), SparqlError> {
    let mut draft = Draft::new(snapshot.clone());
    parse_update(&parser(), text, &Parameters::default())?.plan(Interrupt::new(None), u64::MAX)(&mut draft)?;
    let (changes, snapshot) = draft.finish();
    Ok((changes.inserted_count(), changes.removed_count(), snapshot))
}

fn quads(snapshot: &Snapshot) -> Vec<String> {
    let quads = snapshot
        .quads(Pattern::all(GraphPattern::Any))
        .map(|quad| snapshot.quad(quad));
    let mut quads: Vec<String> = quads
        .map(|quad| match quad.graph_name {
            GraphName::DefaultGraph => format!("- {} {}", quad.subject, quad.object),
            graph => format!("{graph} {} {}", quad.subject, quad.object),
        })
        .map(|quad| {
            quad.replace("http://ex/", "")
                .replace("^^<http://www.w3.org/2001/XMLSchema#integer>", "")
        })
        .collect();
    quads.sort();
    quads
}

#[test]
fn updates_change_exactly_what_they_say() {
    let snapshot = graph("ex:a ex:p 1 , 2 . ex:g { ex:a ex:p 3 } ex:h { ex:a ex:p 3 , 4 }");
    let all = [
        "- <a> \"1\"",
        "- <a> \"2\"",
        "<g> <a> \"3\"",
        "<h> <a> \"3\"",
        "<h> <a> \"4\"",
    ];
    assert_eq!(quads(&snapshot), all);
    let check = |text: &str, counts: (u64, u64), expected: &[&str]| {
        let (inserted, removed, after) = update(&snapshot, text).unwrap();
        assert_eq!((inserted, removed), counts, "{text}");
        assert_eq!(quads(&after), expected, "{text}");
    };
    check("INSERT DATA { ex:a ex:p 1 }", (0, 0), &all);
    check(
        "DELETE WHERE { ?s ?p ?o } ; DELETE WHERE { GRAPH ?g { ?s ?p ?o } }",
        (0, 5),
        &[],
    );
    check(
        "DELETE DATA { ex:a ex:p 1 , 9 . GRAPH ex:h { ex:a ex:p 4 } }",
        (0, 2),
        &[all[1], all[2], all[3]],
    );
    // Each operation sees those before it.
    check(
        "CLEAR ALL ; INSERT DATA { ex:a ex:p 7 } ; INSERT { ?s ex:p 8 } WHERE { ?s ex:p 7 }",
        (2, 5),
        &["- <a> \"7\"", "- <a> \"8\""],
    );
    // A quad both deleted and inserted stays.
    check(
        "DELETE { ?s ?p ?o } INSERT { ?s ?p ?o } WHERE { ?s ?p ?o }",
        (0, 0),
        &all,
    );
    check(
        "WITH ex:h DELETE { ?s ?p 3 } INSERT { ?s ?p 5 } WHERE { ?s ?p 4 }",
        (1, 1),
        &[all[0], all[1], all[2], all[4], "<h> <a> \"5\""],
    );
    check(
        "INSERT { ?s ex:q ?o } USING ex:g USING ex:h WHERE { ?s ?p ?o FILTER(?o > 3) }",
        (1, 0),
        &[all[0], all[1], "- <a> \"4\"", all[2], all[3], all[4]],
    );
    check(
        "DELETE { GRAPH ?g { ?s ?p ?o } } USING NAMED ex:h WHERE { GRAPH ?g { ?s ?p ?o } }",
        (0, 2),
        &all[..3],
    );
    check("CLEAR DEFAULT", (0, 2), &all[2..]);
    check("CLEAR NAMED", (0, 3), &all[..2]);
    check("DROP GRAPH ex:g", (0, 1), &[all[0], all[1], all[3], all[4]]);
    check("ADD ex:g TO ex:h", (0, 0), &all);
    check(
        "COPY ex:h TO DEFAULT",
        (2, 2),
        &["- <a> \"3\"", "- <a> \"4\"", all[2], all[3], all[4]],
    );
    check("MOVE ex:g TO ex:h", (0, 2), &[all[0], all[1], all[3]]);
    check("MOVE ex:g TO ex:g", (0, 0), &all);
    let blank = "INSERT DATA { _:x ex:q 1 } ; INSERT { _:x ex:q ?o } WHERE { ?s ex:p ?o }";
    assert_eq!(
        update(&snapshot, blank).map(|(inserted, removed, _)| (inserted, removed)),
        Ok((3, 0))
    );
}

#[test]
fn graphs_come_to_exist_and_cease_to() {
    let snapshot = graph("ex:g { ex:a ex:p 3 }");
    let check = |text: &str, expected: Result<u64, &str>| {
        let outcome = update(&snapshot, text).map(|(_, _, after)| after.named_graph_count());
        assert_eq!(
            outcome,
            expected.map_err(|message| SparqlError::Evaluation(message.to_owned())),
            "{text}"
        );
    };
    check("CREATE GRAPH ex:new", Ok(2));
    check("CREATE GRAPH ex:g", Err("the graph <http://ex/g> exists already"));
    check("CREATE SILENT GRAPH ex:g", Ok(1));
    check("CLEAR GRAPH ex:g", Ok(1));
    check("DELETE WHERE { GRAPH ex:g { ?s ?p ?o } }", Ok(1));
    check("DROP GRAPH ex:g", Ok(0));
    check("DROP ALL", Ok(0));
    check(
        "DROP GRAPH ex:none",
        Err("the graph <http://ex/none> does not exist"),
    );
    check(
        "CLEAR GRAPH ex:none",
        Err("the graph <http://ex/none> does not exist"),
    );
    check("DROP SILENT GRAPH ex:none ; CLEAR SILENT GRAPH ex:none", Ok(1));
    check("MOVE ex:g TO ex:new", Ok(1));
    check("CREATE GRAPH ex:new ; DROP GRAPH ex:new", Ok(1));
}

#[test]
fn an_update_past_its_deadline_fails() {
    let mut draft = Draft::new(numbers());
    let text = "INSERT { ?a ex:q ?i } WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i FILTER(?c + ?f + ?i < 0) }";
    let interrupt = Interrupt::new(Some(Instant::now() + Duration::from_millis(100)));
    let plan = parse_update(&parser(), text, &Parameters::default())
        .unwrap()
        .plan(interrupt, u64::MAX);
    assert_eq!(plan(&mut draft), Err(SparqlError::DeadlineExceeded));
}

#[test]
fn all_operations_of_an_update_share_its_work() {
    let run = |text: &str, work_max| {
        let interrupt = Interrupt::new(None).with_limits(RunLimits {
            work_max,
            ..RunLimits::default()
        });
        let update = parse_update(&parser(), text, &Parameters::default()).unwrap();
        let outcome = update.plan(interrupt.clone(), u64::MAX)(&mut Draft::new(numbers()));
        (outcome, interrupt.work())
    };
    let insert = "INSERT { ?a ex:q ?c } WHERE { ?a ex:p ?c }";
    let clear = "CLEAR ALL";
    let both = format!("{insert} ; {clear}");
    let work = |text: &str| {
        let (outcome, work) = run(text, u64::MAX);
        assert_eq!(outcome, Ok(()), "{text}");
        work
    };
    // Clearing goes over what was inserted, too.
    assert_eq!(work(clear), 2_000);
    assert_eq!(work(&both), work(insert) + 4_000);
    for text in [insert, clear, &both] {
        let work = work(text);
        assert_eq!(run(text, work).0, Ok(()), "{text}");
        let exceeded = SparqlError::LimitExceeded {
            limit: RunLimit::Work,
            limit_value: work - 1,
        };
        assert_eq!(run(text, work - 1).0, Err(exceeded), "{text}");
    }
}

#[test]
fn changes_past_the_memory_limit_are_refused() {
    let mut draft = Draft::new(Snapshot::default());
    let insert: Vec<_> = (0..60)
        .map(|number| format!("ex:s{number} ex:p {number}"))
        .collect();
    let insert = insert.join(" . ");
    let plan = |text: &str, memory_bytes_max| {
        parse_update(&parser(), text, &Parameters::default())
            .unwrap()
            .plan(Interrupt::new(None), memory_bytes_max)
    };
    plan(&format!("INSERT DATA {{ {insert} }}"), u64::MAX)(&mut draft).unwrap();
    // 216,000 changes.
    let product = "INSERT { ?a ex:q ?c } WHERE { ?a ex:p ?x . ?b ex:p ?y . ?c ex:p ?z }";
    let memory_bytes_max = 64 << 10;
    assert_eq!(
        plan(product, memory_bytes_max)(&mut draft),
        Err(SparqlError::MemoryExceeded { memory_bytes_max })
    );
    assert_eq!(draft.snapshot().quad_count(), 60);
    plan(product, u64::MAX)(&mut draft).unwrap();
    assert_eq!(draft.snapshot().quad_count(), 60 + 60 * 60);
}
