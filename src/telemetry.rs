//! Where log lines go: JSON for machines, or pretty for people, on standard error.

use tracing_subscriber::filter::LevelFilter;

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Pretty,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// How a line looks.
    pub format: Format,
    /// Which lines.
    pub level: LevelFilter,
}

/// Installs `log` for this process.
///
/// # Errors
/// Something else was installed before.
pub fn install(log: Log) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let lines = tracing_subscriber::fmt().with_max_level(log.level).with_writer(std::io::stderr);
    match log.format {
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
        Format::Pretty => {
            lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).with_target(false).try_init()
        }
    }
}
