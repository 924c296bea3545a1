//! What is expected of a run: that every module passes, but for the exceptions in `expected/{plan}.toml`, each with a reason, an owner and an end.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use time::{Date, Month, OffsetDateTime};

use crate::fault::Fault;
use crate::plan::Plan;
use crate::run::saved::{Outcome, PlanRun, Saved};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    #[serde(default)]
    exception: Vec<Exception>,
}

/// A module that need not pass.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    module: String,
    /// How it ends instead: warning, review, skipped or failed.
    result: String,
    /// What alone may have been found, if it matters.
    condition: Option<String>,
    reason: String,
    owner: String,
    /// The last day on which it holds.
    expires: String,
}

/// The exceptions of the plans of a run.
pub(super) struct Expected {
    /// Each with the file that it stands in.
    of: Vec<(Plan, PathBuf, Exceptions)>,
}

impl Expected {
    /// Reads those of `plans` in `folder`.
    ///
    /// # Errors
    /// The folder or a file in it cannot be read, or is for a plan that there is not.
    pub(super) fn read(folder: &Path, plans: &[Plan]) -> Result<Self, Fault> {
        if !folder.is_dir() {
            let says =
                format!("{}: there is no such folder; --expected says where the exceptions are", folder.display());
            return Err(says.into());
        }
        let mut of = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if name == "README.md" {
                continue;
            }
            let plan = name.strip_suffix(".toml").and_then(|plan| plan.parse::<Plan>().ok());
            let plan = plan.ok_or_else(|| {
                format!("{}: it is named after no plan, as in plain-poll-pkj-static.toml", path.display())
            })?;
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let read: Exceptions = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            if plans.contains(&plan) {
                of.push((plan, path, read));
            }
        }
        of.sort_by_key(|(plan, ..)| plan.to_string());
        Ok(Self { of })
    }

    /// Judges `saved` on the day of `now` (seconds since 1970): excuses what the exceptions explain, and notes what is wrong with them. Where `only` some modules
    /// were to be run, the exceptions of others only have to make sense.
    ///
    /// # Errors
    /// There is no such day.
    pub(super) fn judge(&self, saved: &mut Saved, (now, only): (i64, &[String])) -> Result<(), Fault> {
        let today = OffsetDateTime::from_unix_timestamp(now)?.date();
        for (plan, path, exceptions) in &self.of {
            let Some(run) = saved.plans.iter_mut().find(|run| run.plan == plan.to_string()) else { continue };
            for (at, exception) in exceptions.exception.iter().enumerate() {
                let twice = exceptions.exception[..at].iter().any(|other| other.module == exception.module);
                let asked_for = only.is_empty() || only.contains(&exception.module);
                let excused = match exception.is_sound(today) {
                    Ok(()) if twice => Err("there is an exception for it already".to_owned()),
                    Ok(()) if asked_for => exception.excuse(run),
                    sound => sound,
                };
                if let Err(fault) = excused {
                    saved.faults.push(format!("{}: {}: {fault}", path.display(), exception.module));
                }
            }
        }
        Ok(())
    }
}

impl Exception {
    /// Whether it explains anything, whatever was run.
    fn is_sound(&self, today: Date) -> Result<(), String> {
        for (name, value) in [("reason", &self.reason), ("owner", &self.owner)] {
            if value.trim().is_empty() {
                return Err(format!("the exception has no {name}"));
            }
        }
        let expires = date(&self.expires).ok_or("expires has to be a day, as in 2030-12-31")?;
        if expires < today {
            return Err(format!(
                "the exception of {} has run out on {}; mend the cause, or say anew why not",
                self.owner, self.expires
            ));
        }
        self.result().map(drop)
    }

    fn result(&self) -> Result<Outcome, String> {
        let excusable = [Outcome::Warning, Outcome::Review, Outcome::Skipped, Outcome::Failed];
        let result = excusable.into_iter().find(|outcome| outcome.word() == self.result);
        result.ok_or_else(|| "result has to be warning, review, skipped or failed".to_owned())
    }

    fn excuse(&self, plan: &mut PlanRun) -> Result<(), String> {
        let result = self.result()?;
        let module = plan.modules.iter_mut().find(|module| module.module == self.module);
        let module = module.ok_or("the plan has no such module")?;
        let same = module.outcome == result || (result == Outcome::Failed && module.outcome == Outcome::Interrupted);
        if module.outcome == Outcome::Passed {
            return Err("the module passed: the exception is not needed any more".to_owned());
        }
        if !same {
            return Err(format!(
                "the exception is for {}, and the module ended as {}",
                self.result,
                module.outcome.word()
            ));
        }
        if let Some(condition) = &self.condition {
            // What breaks a module off is said by the module itself, after the condition.
            let found = module.entries.iter().map(|entry| &entry.condition).filter(|found| **found != self.module);
            let (same, others): (Vec<_>, Vec<_>) = found.partition(|found| *found == condition);
            if let Some(other) = others.first() {
                return Err(format!("the exception is for {condition}, and {other} was found too"));
            }
            if same.is_empty() {
                return Err(format!("the exception is for {condition}, which found nothing"));
            }
        }
        module.excused = Some(format!("{} ({}, until {})", self.reason, self.owner, self.expires));
        Ok(())
    }
}

fn date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let shaped = text.len() == 10 && parts.next().is_none();
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    shaped.then(|| Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()).flatten()
}
