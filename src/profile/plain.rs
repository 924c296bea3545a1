//! Text that a screen shows as it was written: for binding messages (CIBA §7.1) and the names of clients.

/// How many combining marks may follow each other. Taste: living scripts get by with two, and a tower of them hides its neighbours.
const MOST_MARKS: usize = 2;

/// Whether `text`, of at most `longest` characters, is shown as it was written. No control characters, nothing that turns the direction of text or
/// takes no room, nothing outside the plane of everyday scripts, no space at either end, no towers of marks, and nothing that invites to follow a
/// link.
pub fn is_plain(text: &str, longest: usize) -> bool {
    let mut marks = 0;
    let towers = text.chars().any(|c| {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        marks > MOST_MARKS
    });
    text.chars().count() <= longest
        && text.chars().all(is_shown)
        && text.trim() == text
        && !towers
        && !text.chars().next().is_some_and(is_mark)
        && !text.contains("://")
}

const fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}')
}

fn is_shown(c: char) -> bool {
    !(c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}' | '\u{10000}'..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyday_text_is_plain() {
        for text in ["1234", "Till 7: 42.90", "Café 品川 €9,90 №7 — ok", "Cafe\u{301}", "बैंक", "ธนาคาร", "a"]
        {
            assert!(is_plain(text, 64), "{text}");
        }
        assert!(is_plain(&"é".repeat(64), 64) && !is_plain(&"é".repeat(65), 64));
    }

    #[test]
    fn ciba_7_1_29_what_a_screen_would_not_show_as_written_is_not_plain() {
        for c in [
            '\n',
            '\u{1b}',
            '\u{202e}',
            '\u{2066}',
            '\u{200b}',
            '\u{200d}',
            '\u{feff}',
            '\u{85}',
            '👍',
            '\u{e0041}',
            '\u{fe0f}',
            '\u{fdd0}',
            '\u{2800}',
        ] {
            assert!(!is_plain(&format!("a{c}b"), 64), "{c:?}");
        }
        for text in
            [" a", "a ", "\u{301}a", "a\u{a0}b", "a\u{3000}b", "see https://evil.example", "a\u{301}\u{302}\u{303}"]
        {
            assert!(!is_plain(text, 64), "{text}");
        }
    }
}
