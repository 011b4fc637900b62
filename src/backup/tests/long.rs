//! Terms whose line in the log is longer than the buffer of a parser.

use super::*;

#[test]
fn a_long_term_is_backed_up_and_restored() {
    let (folder, base, place) = beside();
    for (number, text) in [(1, "\u{1}".repeat(3 << 20)), (2, "short".to_owned())] {
        let mut batch = Batch::default();
        let mut quad = quad(number, 0);
        quad.object = Literal::from(text).into();
        batch.insert(quad.as_ref());
        commit(&base, move |draft| draft.apply(&batch));
        // The second follows the first by its graph's hash.
        create(&base, &place, &mut always).unwrap();
    }
    let expected = contents(&base.read(&Access::everything()).snapshot);
    base.close();
    let verified = verify(&place, &mut always).unwrap();
    assert_eq!((verified.record_count, verified.faults), (2, vec![]));
    let dir = folder.path().join("restored");
    restore(&place, &dir, Until::Revision(2), &mut always).unwrap();
    let base = open(&dir);
    assert!(contents(&base.read(&Access::everything()).snapshot) == expected);
    base.close();
}
