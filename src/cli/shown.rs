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

/// Columns as wide as they need to be.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let wide: Vec<usize> =
        (0..N).map(|at| rows.iter().map(|row| row.get(at).map_or(0, String::len)).max().unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&wide).map(|(cell, wide)| format!("{cell:wide$}")).collect();
        text.extend([cells.join("  ").trim_end(), "\n"]);
    }
    text
}
