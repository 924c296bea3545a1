//! How the commands show things that several of them do.

use time::OffsetDateTime;

use crate::clock::Timestamp;

/// RFC 3339, UTC, to the second.
pub(super) fn date(at: Timestamp) -> String {
    if at == Timestamp::from_seconds(0) {
        return "ever".to_owned();
    }
    let at = OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, time) = (at.date(), at.time());
    format!("{date}T{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
}

/// `text` without what a terminal would take for an order, or would show in another order than it is written (Unicode annex 9).
pub(super) fn plain(text: &str) -> String {
    let turns = |c| matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    text.replace(|c: char| c.is_control() || turns(c), "\u{fffd}")
}

/// Columns as wide as they need to be, of cells that are plain.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| plain(cell))).collect();
    let wide: Vec<usize> =
        (0..N).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default()).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&wide).map(|(cell, wide)| format!("{cell:wide$}")).collect();
        text.extend([cells.join("  ").trim_end(), "\n"]);
    }
    text
}
