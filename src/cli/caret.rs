//! Quotes the line of a fault with a caret under its column.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

const TAB_WIDTH: usize = 4;
/// Cells of a line that are shown; longer ones are cut around the caret.
const WIDTH_MAX: usize = 100;
/// Cells that stay in view before the caret where a line is cut.
const LEAD: usize = 60;

/// Returns the line of `text` with a caret under the column, both counted from 1, columns in characters.
///
/// None if the text has no such line. A column past the end of the line puts the caret behind it.
pub(super) fn quote(text: &str, line: usize, column: usize) -> Option<String> {
    let source = text.split('\n').nth(line.checked_sub(1)?)?.trim_end_matches('\r');
    let before = column.checked_sub(1)?;

    let mut shown: Vec<(char, usize)> = Vec::new();
    let mut caret = None;
    for (index, character) in source.chars().enumerate() {
        if index == before {
            caret = Some(shown.len());
        }
        match character {
            '\t' => shown.extend([(' ', 1); TAB_WIDTH]),
            // What is not printable would move the caret or command the terminal.
            _ if character.is_control() => shown.push((char::REPLACEMENT_CHARACTER, 1)),
            _ => shown.push((character, character.width().unwrap_or(0))),
        }
    }
    let caret = caret.unwrap_or(shown.len());
    let width = |cells: &[(char, usize)]| cells.iter().map(|(_, width)| width).sum::<usize>();

    let mut from = 0;
    if width(&shown) > WIDTH_MAX {
        while width(&shown[from..caret]) > LEAD {
            from += 1;
        }
    }
    let mut to = shown.len();
    while to > caret && width(&shown[from..to]) > WIDTH_MAX {
        to -= 1;
    }
    let head = if from > 0 { "…" } else { "" };
    let tail = if to < shown.len() { "…" } else { "" };

    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let visible: String = shown[from..to].iter().map(|(character, _)| character).collect();
    let indent = " ".repeat(width(&shown[from..caret]) + usize::from(from > 0));
    let mut quoted = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        quoted,
        "{margin} |\n{number} | {head}{visible}{tail}\n{margin} | {indent}^"
    );
    Some(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, line: usize, column: usize, expected: &[&str]) {
        assert_eq!(
            quote(text, line, column).unwrap(),
            expected.join("\n"),
            "{text:?} {line}:{column}"
        );
    }

    #[test]
    fn the_caret_is_under_the_column() {
        check(
            "SELECT * WHRE {}",
            1,
            10,
            &["  |", "1 | SELECT * WHRE {}", "  |          ^"],
        );
        check("a\nbc\nd", 2, 2, &["  |", "2 | bc", "  |  ^"]);
        check("a\r\nb\r\n", 1, 1, &["  |", "1 | a", "  | ^"]);
        check(
            &format!("{}x", "\n".repeat(99)),
            100,
            1,
            &["    |", "100 | x", "    | ^"],
        );
    }

    #[test]
    fn the_end_of_a_line_or_text_has_a_caret() {
        check("ASK {", 1, 6, &["  |", "1 | ASK {", "  |      ^"]);
        check("ASK {", 1, 99, &["  |", "1 | ASK {", "  |      ^"]);
        check("ASK {\n", 2, 1, &["  |", "2 | ", "  | ^"]);
        check("", 1, 1, &["  |", "1 | ", "  | ^"]);
    }

    #[test]
    fn wide_characters_and_tabs_move_the_caret() {
        check("\tx y", 1, 4, &["  |", "1 |     x y", "  |       ^"]);
        check(
            "\"서울\"@ko oops",
            1,
            9,
            &["  |", "1 | \"서울\"@ko oops", "  |           ^"],
        );
        // A combining mark takes no cell of its own.
        check("e\u{301} x", 1, 4, &["  |", "1 | e\u{301} x", "  |   ^"]);
        check("\u{1b}[31mx", 1, 6, &["  |", "1 | \u{fffd}[31mx", "  |      ^"]);
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let quoted = quote(&text, 1, 501).unwrap();
        let [_, shown, caret] = quoted.lines().collect::<Vec<_>>()[..] else {
            panic!("{quoted}")
        };
        assert!(
            shown.starts_with("1 | …aaa") && shown.ends_with("bbb…"),
            "{shown}"
        );
        let at = caret.chars().position(|character| character == '^').unwrap();
        assert_eq!(shown.chars().nth(at), Some('X'));
        assert!(shown.chars().count() <= WIDTH_MAX + 8, "{shown}");
    }

    #[test]
    fn places_outside_of_the_text_are_not_quoted() {
        assert_eq!(quote("a", 2, 1), None);
        assert_eq!(quote("a", 0, 1), None);
        assert_eq!(quote("a", 1, 0), None);
    }
}
