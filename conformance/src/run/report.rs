//! A run as one page for people: no script, nothing from elsewhere.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::fault::Fault;
use crate::run::saved::{ModuleRun, Outcome, PlanRun, Saved};
use crate::run::table::row;

/// The file beside `run.json`.
const FILE: &str = "report.html";

/// Which run to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The folder that `run --report` wrote to
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Reads a saved run and writes the page beside it.
///
/// # Errors
/// There is no run, or the page cannot be written.
pub(crate) fn render(options: &Options) -> Result<(), Fault> {
    let saved = Saved::read(&options.folder)?;
    let path = write(&saved, &options.folder)?;
    Ok(writeln!(io::stdout(), "{}", path.display())?)
}

/// Writes the page to `folder`.
pub(super) fn write(saved: &Saved, folder: &Path) -> Result<PathBuf, Fault> {
    let path = folder.join(FILE);
    fs::write(&path, page(saved)).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

fn page(saved: &Saved) -> String {
    let all: usize = saved.plans.iter().map(|plan| plan.modules.len()).sum();
    let passed: usize = saved.plans.iter().map(|plan| plan.count(|outcome| outcome == Outcome::Passed)).sum();
    let verdict = if saved.is_fine() { ("good", "as expected") } else { ("bad", "not as expected") };
    let mut page = format!(
        "{HEAD}<h1>FAPI-CIBA conformance</h1>\n<p class=\"verdict {}\"><b>{passed}</b> of {all} modules passed: {}</p>\n",
        verdict.0, verdict.1
    );
    let ended = saved.ended.map_or_else(|| "until it was broken off".to_owned(), |ended| format!("to {}", date(ended)));
    add(
        &mut page,
        &format!(
            "<dl><dt>Server</dt><dd>{}</dd><dt>Suite</dt><dd>{} at {}</dd><dt>Run</dt><dd>{} {ended}</dd></dl>\n",
            escaped(&saved.server),
            escaped(&saved.suite_version),
            escaped(&saved.suite),
            date(saved.started)
        ),
    );
    if !saved.faults.is_empty() {
        page.push_str("<h2>What is wrong with the expectations</h2>\n<ul>");
        for fault in &saved.faults {
            add(&mut page, &format!("<li>{}</li>\n", escaped(fault)));
        }
        page.push_str("</ul>\n");
    }
    page.push_str(
        "<div class=wide><table><tr><th>plan<th>passed<th>warning<th>review<th>skipped<th>failed<th>time</tr>\n",
    );
    for plan in &saved.plans {
        let [name, rest @ ..] = row(plan);
        let cells = rest.join("<td>");
        add(&mut page, &format!("<tr><td><a href=\"#{name}\">{name}</a><td>{cells}</tr>\n", name = escaped(&name)));
    }
    page.push_str("</table></div>\n");
    for plan in &saved.plans {
        add(&mut page, &section(plan));
    }
    page
}

fn section(plan: &PlanRun) -> String {
    let name = escaped(&plan.plan);
    let mut section = format!("<h2 id=\"{name}\">{name}</h2>\n<p>{}</p>\n", link(&plan.link, "at the suite"));
    let (fine, rest): (Vec<_>, Vec<_>) = plan.modules.iter().partition(|module| module.outcome == Outcome::Passed);
    for module in rest {
        add(&mut section, &details(module));
    }
    if !fine.is_empty() {
        add(&mut section, &format!("<details><summary>{} passed</summary><ul>\n", fine.len()));
        for module in fine {
            add(&mut section, &format!("<li>{} <small>{} s</small></li>\n", named(module), module.seconds));
        }
        section.push_str("</ul></details>\n");
    }
    section
}

fn details(module: &ModuleRun) -> String {
    let class = if module.excused.is_some() { "good" } else { "bad" };
    let mut text =
        format!("<details open class={class}><summary>{}: {}</summary>\n", named(module), module.outcome.word());
    if let Some(reason) = &module.excused {
        add(&mut text, &format!("<p>Expected: {}</p>\n", escaped(reason)));
    }
    text.push_str("<ul>");
    for entry in &module.entries {
        let requirements = escaped(&entry.requirements.join(", "));
        add(
            &mut text,
            &format!(
                "<li><code>{}</code> <small>{requirements}</small> {}</li>\n",
                escaped(&entry.condition),
                escaped(&entry.says)
            ),
        );
    }
    text.push_str("</ul></details>\n");
    text
}

fn named(module: &ModuleRun) -> String {
    let name = escaped(&module.module);
    link(module.link.as_deref().unwrap_or_default(), &name)
}

/// A file that came from somewhere else may have anything in it; a browser is sent to web pages alone.
fn link(to: &str, name: &str) -> String {
    if to.starts_with("https://") { format!("<a href=\"{}\">{name}</a>", escaped(to)) } else { name.to_owned() }
}

/// Day and time, UTC.
fn date(seconds: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
}

fn add(text: &mut String, more: &str) {
    text.write_str(more).expect("a string has room");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

const HEAD: &str = "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>FAPI-CIBA conformance</title>\n\
    <style>:root{color-scheme:light dark;--good:#2a7d3f;--bad:#b3261e}body{font:1rem/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    table{border-collapse:collapse}td,th{padding:.25rem .75rem;text-align:right;border-bottom:1px solid #8884;font-variant-numeric:tabular-nums}td:first-child,th:first-child{text-align:left}\
    .wide{overflow-x:auto}.verdict{font-size:1.25rem;border-left:.5rem solid;padding-left:1rem}.good{border-color:var(--good)}.bad{border-color:var(--bad)}\
    details{border-left:.25rem solid #8884;padding-left:1rem;margin:.5rem 0;overflow-wrap:anywhere}dt{font-weight:bold}small{opacity:.7}</style>\n";
