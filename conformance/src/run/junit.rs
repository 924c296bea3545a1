//! A run in the XML that build servers read (JUnit's): a suite for each plan, a case for each module.

use std::fmt::Write as _;

use crate::run::saved::{ModuleRun, Outcome, Saved};
use crate::suite::entry::Entry;

/// The whole document.
pub(super) fn of(saved: &Saved) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"conformance\">\n");
    for plan in &saved.plans {
        let failures = plan.modules.iter().filter(|module| fails(module)).count();
        let skipped = plan.modules.iter().filter(|module| skips(module)).count();
        let (name, tests) = (escaped(&plan.plan), plan.modules.len());
        add(
            &mut xml,
            &format!(
                "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\" time=\"{}\">\n",
                plan.seconds
            ),
        );
        for module in &plan.modules {
            add(&mut xml, &case(&name, module));
        }
        add(&mut xml, "  </testsuite>\n");
    }
    if !saved.faults.is_empty() {
        let count = saved.faults.len();
        add(
            &mut xml,
            &format!("  <testsuite name=\"expected\" tests=\"{count}\" failures=\"{count}\" skipped=\"0\">\n"),
        );
        for fault in &saved.faults {
            let fault = escaped(fault);
            add(
                &mut xml,
                &format!(
                    "    <testcase classname=\"expected\" name=\"{fault}\"><failure message=\"{fault}\"/></testcase>\n"
                ),
            );
        }
        add(&mut xml, "  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn case(plan: &str, module: &ModuleRun) -> String {
    let mut xml =
        format!("    <testcase classname=\"{plan}\" name=\"{}\" time=\"{}\"", escaped(&module.module), module.seconds);
    let mut says: Vec<String> = module
        .entries
        .iter()
        .map(|Entry { condition, requirements, says, .. }| match &requirements[..] {
            [] => format!("{condition}: {says}"),
            some => format!("{condition} [{}]: {says}", some.join(", ")),
        })
        .collect();
    says.extend(module.link.clone());
    let (says, word) = (escaped(&says.join("\n")), module.outcome.word());
    let excused = escaped(module.excused.as_deref().unwrap_or_default());
    if fails(module) {
        add(&mut xml, &format!("><failure message=\"{word}\">{says}</failure></testcase>\n"));
    } else if skips(module) {
        add(&mut xml, &format!("><skipped message=\"{word}: {excused}\"/></testcase>\n"));
    } else {
        xml.push_str("/>\n");
    }
    xml
}

fn fails(module: &ModuleRun) -> bool {
    module.outcome != Outcome::Passed && module.excused.is_none()
}

fn skips(module: &ModuleRun) -> bool {
    module.outcome != Outcome::Passed && module.excused.is_some()
}

fn add(xml: &mut String, more: &str) {
    xml.write_str(more).expect("a string has room");
}

/// XML 1.0 §2.2, §2.4: characters that may not be there at all are left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            '\t' => safe.push('\t'),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => safe.push(c),
        }
    }
    safe
}
