//! [`Saved`]: what a run found, as it is kept in `run.json`, while it goes on and when it is over.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::suite::entry::Entry;

/// The file in the folder of the report.
pub(crate) const FILE: &str = "run.json";

/// A whole run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Saved {
    /// Where the suite is.
    pub(crate) suite: String,
    /// Which suite it is.
    pub(crate) suite_version: String,
    /// Which server was tested.
    pub(crate) server: String,
    /// In seconds since 1970.
    pub(crate) started: i64,
    /// In seconds since 1970; not there while it goes on, or when it was broken off.
    pub(crate) ended: Option<i64>,
    pub(crate) plans: Vec<PlanRun>,
    /// What is wrong with the run, beside modules: all of it, judged against `expected/`.
    pub(crate) faults: Vec<String>,
}

/// A plan and its modules.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct PlanRun {
    pub(crate) plan: String,
    pub(crate) link: String,
    /// From its first module's start to its last one's end, in seconds.
    pub(crate) seconds: u64,
    pub(crate) modules: Vec<ModuleRun>,
}

/// A module.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct ModuleRun {
    pub(crate) module: String,
    /// Where its log is.
    pub(crate) link: Option<String>,
    pub(crate) outcome: Outcome,
    pub(crate) seconds: u64,
    /// What its log says was wrong.
    pub(crate) entries: Vec<Entry>,
    /// Why it need not pass, if an exception says so.
    pub(crate) excused: Option<String>,
}

/// How a module ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Passed,
    Warning,
    Review,
    Skipped,
    Failed,
    /// It broke off.
    Interrupted,
    /// It did not end within the limit.
    TimedOut,
    /// It could not be started, or the suite did not say what became of it.
    Lost,
    /// It was not come to.
    NotRun,
}

impl Outcome {
    /// Reads the suite's words: how it stands and how it went.
    pub(crate) fn read(status: &str, result: Option<&str>) -> Self {
        match (status, result) {
            ("FINISHED", Some("PASSED")) => Self::Passed,
            ("FINISHED", Some("WARNING")) => Self::Warning,
            ("FINISHED", Some("REVIEW")) => Self::Review,
            ("FINISHED", Some("SKIPPED")) => Self::Skipped,
            ("FINISHED", Some("FAILED")) => Self::Failed,
            ("INTERRUPTED", _) => Self::Interrupted,
            _ => Self::Lost,
        }
    }

    /// In words, as the table, the report and `expected/` have it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warning => "warning",
            Self::Review => "review",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::TimedOut => "timed out",
            Self::Lost => "lost",
            Self::NotRun => "not run",
        }
    }

    /// Whether it counts as failed.
    pub(crate) const fn is_failure(self) -> bool {
        match self {
            Self::Passed | Self::Warning | Self::Review | Self::Skipped | Self::NotRun => false,
            Self::Failed | Self::Interrupted | Self::TimedOut | Self::Lost => true,
        }
    }
}

impl Saved {
    /// Reads the run in `folder`.
    ///
    /// # Errors
    /// There is none, or it is not one.
    pub(crate) fn read(folder: &Path) -> Result<Self, Fault> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}; `conformance run --report FOLDER` writes it", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: is no run: {error}", path.display()).into())
    }

    /// Writes the run to `folder`, all or nothing.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Fault> {
        fs::create_dir_all(folder)?;
        let (path, beside) = (folder.join(FILE), folder.join("run.json.new"));
        fs::write(&beside, format!("{}\n", serde_json::to_string_pretty(self)?))?;
        Ok(fs::rename(beside, path)?)
    }

    /// Whether everything ran and went as expected.
    pub(crate) fn is_fine(&self) -> bool {
        let fine = |module: &ModuleRun| module.outcome == Outcome::Passed || module.excused.is_some();
        self.ended.is_some() && self.faults.is_empty() && self.plans.iter().all(|plan| plan.modules.iter().all(fine))
    }
}

impl PlanRun {
    /// How many of its modules ended like that.
    pub(crate) fn count(&self, ended: impl Fn(Outcome) -> bool) -> usize {
        self.modules.iter().filter(|module| ended(module.outcome)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_suite_says_is_read_as_what_it_is_and_anything_else_is_no_pass() {
        let said = |status, result| Outcome::read(status, result);
        for (result, outcome) in [
            ("PASSED", Outcome::Passed),
            ("WARNING", Outcome::Warning),
            ("REVIEW", Outcome::Review),
            ("SKIPPED", Outcome::Skipped),
            ("FAILED", Outcome::Failed),
            ("UNKNOWN", Outcome::Lost),
            ("passed", Outcome::Lost),
        ] {
            assert_eq!(said("FINISHED", Some(result)), outcome, "{result}");
            assert_eq!(said("INTERRUPTED", Some(result)), Outcome::Interrupted);
            assert_eq!(said("RUNNING", Some(result)), Outcome::Lost);
        }
        assert_eq!(said("FINISHED", None), Outcome::Lost);
        assert_eq!(said("INTERRUPTED", None), Outcome::Interrupted);
    }
}
