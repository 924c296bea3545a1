//! The table at the end of a run, and below it what did not pass.

use std::fmt::Write as _;
use std::time::Duration;

use crate::run::course::clock;
use crate::run::saved::{ModuleRun, Outcome, PlanRun, Saved};

/// All of it, as text.
pub(super) fn of(saved: &Saved) -> String {
    let mut text = String::new();
    let wide = saved.plans.iter().map(|plan| plan.plan.len()).max().unwrap_or_default().max("plan".len());
    line(&mut text, wide, ["plan", "passed", "warning", "review", "skipped", "failed", "time"].map(str::to_owned));
    for plan in &saved.plans {
        line(&mut text, wide, row(plan));
    }
    let all: usize = saved.plans.iter().map(|plan| plan.modules.len()).sum();
    let passed: usize = saved.plans.iter().map(|plan| plan.count(|outcome| outcome == Outcome::Passed)).sum();
    let whole = saved.ended.map(|ended| Duration::from_secs(u64::try_from(ended - saved.started).unwrap_or_default()));
    let not_run: usize = saved.plans.iter().map(|plan| plan.count(|outcome| outcome == Outcome::NotRun)).sum();
    let took = whole.map_or_else(|| format!("broken off, {not_run} not run"), |whole| format!("in {}", clock(whole)));
    add(
        &mut text,
        &format!(
            "\n{passed} of {all} modules passed, {took}. Suite {}, server {}.\n",
            saved.suite_version, saved.server
        ),
    );
    for plan in &saved.plans {
        for module in plan.modules.iter().filter(|module| worth_telling(module)) {
            add(&mut text, &details(plan, module));
        }
    }
    for fault in &saved.faults {
        add(&mut text, &format!("\n{fault}\n"));
    }
    text
}

/// The counts of a plan, as the columns have them.
pub(super) fn row(plan: &PlanRun) -> [String; 7] {
    let count = |wanted: Outcome| plan.count(|outcome| outcome == wanted).to_string();
    [
        plan.plan.clone(),
        count(Outcome::Passed),
        count(Outcome::Warning),
        count(Outcome::Review),
        count(Outcome::Skipped),
        plan.count(Outcome::is_failure).to_string(),
        clock(Duration::from_secs(plan.seconds)),
    ]
}

/// What was not come to says nothing by itself.
const fn worth_telling(module: &ModuleRun) -> bool {
    !matches!(module.outcome, Outcome::Passed | Outcome::NotRun)
}

fn details(plan: &PlanRun, module: &ModuleRun) -> String {
    let mut text = format!("\n{} {}: {}\n", plan.plan, module.module, module.outcome.word());
    if let Some(reason) = &module.excused {
        add(&mut text, &format!("  expected: {reason}\n"));
    }
    for entry in &module.entries {
        let requirements =
            if entry.requirements.is_empty() { String::new() } else { format!(" [{}]", entry.requirements.join(", ")) };
        add(&mut text, &format!("  {}{requirements}: {}\n", entry.condition, entry.says));
    }
    if let Some(link) = &module.link {
        add(&mut text, &format!("  {link}\n"));
    }
    text
}

fn line(text: &mut String, wide: usize, [plan, rest @ ..]: [String; 7]) {
    add(text, &format!("{plan:wide$}"));
    for cell in rest {
        add(text, &format!("  {cell:>7}"));
    }
    add(text, "\n");
}

fn add(text: &mut String, more: &str) {
    text.write_str(more).expect("a string has room");
}
